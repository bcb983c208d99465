"""The Lua scripts of the store and their typed Python faces, one module for each folder of `lua/`.

`typed_script` holds the decorator that turns an annotated signature into the call of a script.
"""

from worker.store.scripts.typed_script import LuaScript, lua_script

__all__ = ["LuaScript", "lua_script"]
