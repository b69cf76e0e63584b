"""Telling the cases of the contract's variants and enums apart, as componentize-py makes them."""


def case(value):
    """The case of a variant's value: the class `Part_ToolCall` is the case `ToolCall`, `ToolChoice_None_` is `None`."""
    return type(value).__name__.partition("_")[2].rstrip("_")
