"""`reifydb pack`: a manifest for a module whose toolchain cannot put one in."""

from __future__ import annotations

from pathlib import Path

import click

from reifydb.cli.options import json_option

_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("module", metavar="MODULE.wasm", type=_file)
@click.option("--manifest", metavar="FILE.json", required=True, type=_file, help="docs/abi.md")
@click.option("-o", "--output", metavar="FILE.wasm", required=True, type=_file)
@json_option
def pack(module: Path, manifest: Path, output: Path, as_json: bool) -> None:
    """Put a manifest into a module, in place of one that it has.

    The manifest is checked, and that the module exports its transitions; everything else when the
    module is installed.
    """
    from reifydb.cli.output import print_json
    from reifydb.errors import ModuleError, did_you_mean
    from reifydb.sandbox.binary import MANIFEST_SECTION, set_custom_section
    from reifydb.sandbox.declarations import read_exports
    from reifydb.sandbox.manifest import parse_manifest
    from reifydb.sandbox.reader import FUNCTION_KIND, read_sections

    content, wasm = manifest.read_bytes(), module.read_bytes()
    try:
        found = parse_manifest(content)
    except ModuleError as error:
        raise ModuleError(f"{manifest}: {error.message}") from None
    exports = [e.name for e in read_exports(read_sections(wasm)) if e.kind == FUNCTION_KIND]
    names = [transition.name for transition in found.transitions]
    missing = [
        f"it exports no function {name!r} ({did_you_mean(name, exports)})"
        for name in names
        if name not in exports
    ]
    if missing:
        raise ModuleError(f"{module} does not fit {manifest}", missing)
    packed = set_custom_section(wasm, MANIFEST_SECTION, content)
    output.write_bytes(packed)
    if as_json:
        print_json({"output": str(output), "bytes": len(packed), "transitions": names})
    else:
        click.echo(f"{output}: {len(packed):,} bytes, {len(names)} transitions")
