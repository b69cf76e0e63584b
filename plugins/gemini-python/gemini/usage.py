"""Token counts as usage lines. The lines of one meter do not overlap: they add up to the total.

https://ai.google.dev/api/generate-content#UsageMetadata
"""


def line(meter, quantity, **attributes):
    """`quantity` units of `meter`."""
    return (meter, quantity, attributes)


def chat(metadata):
    """The lines of a `usageMetadata`.

    A prompt's count includes what a cache served; what built-in tools read comes beside it, and so do thoughts beside the
    candidates' tokens.
    """
    prompt = _count(metadata, "promptTokenCount")
    cached = min(_count(metadata, "cachedContentTokenCount"), prompt)
    cached_audio = min(_audio(metadata, "cacheTokensDetails"), cached)
    audio = min(max(_audio(metadata, "promptTokensDetails") - cached_audio, 0), prompt - cached)
    thoughts = _count(metadata, "thoughtsTokenCount")
    answer = _count(metadata, "candidatesTokenCount")
    spoken = min(_audio(metadata, "candidatesTokensDetails"), answer)
    parts = [
        line("input-tokens", cached - cached_audio, cached="true"),
        line("input-tokens", cached_audio, cached="true", modality="audio"),
        line("input-tokens", audio, modality="audio"),
        line("output-tokens", thoughts, reasoning="true"),
        line("output-tokens", spoken, modality="audio"),
    ]
    plain_input = prompt - cached - audio + _count(metadata, "toolUsePromptTokenCount")
    plain = [line("input-tokens", plain_input), line("output-tokens", answer - spoken)]
    return plain + [part for part in parts if part[1] > 0]


def _count(holder, name):
    value = holder.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _audio(metadata, name):
    details = metadata.get(name)
    rows = [row for row in details if isinstance(row, dict)] if isinstance(details, list) else []
    return sum(_count(row, "tokenCount") for row in rows if row.get("modality") == "AUDIO")
