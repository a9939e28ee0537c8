"""Compiles the kernel when a wheel (or an editable installation) is made.

The wheel then carries `reifydb/kernel.wasm`, one file for every platform: who installs it needs
neither Zig nor a compiler.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelHook(BuildHookInterface):  # type: ignore[type-arg, misc, unused-ignore]
    """Puts the compiled kernel where the wheel picks it up."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Called by hatchling before it collects the wheel's files."""
        root = Path(self.root)
        product = root / "reifydb" / "kernel.wasm"
        spec = importlib.util.spec_from_file_location("kernel_build", root / "kernel" / "build.py")
        if spec is None or spec.loader is None:
            raise RuntimeError("kernel/build.py cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.build(product)
        # Git ignores the product, so hatchling would leave it out.
        build_data["artifacts"].append("/reifydb/kernel.wasm")
