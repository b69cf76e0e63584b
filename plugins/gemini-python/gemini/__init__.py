"""A provider for the Gemini API (https://ai.google.dev/api).

What needs the host is in `api`, `contract` and `provider`; the other modules are plain Python and are tested as such.
"""
