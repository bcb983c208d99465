"""The Lua scripts of the store as Python functions, one module for each folder of `lua/`."""
