"""A Lua script with a typed Python face: the decorator, how arguments are encoded, and how answers are decoded."""
