"""The SDK compiles strictly, is laid out as prettier would, needs nothing, and loads where it is meant to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from toy_sdk import run

Tool = Callable[[str], str]
STRICT = ("strict", "exactOptionalPropertyTypes", "noUncheckedIndexedAccess", "noPropertyAccessFromIndexSignature")
IMPORT = re.compile(r'(?:from|import)\s*\(?"([^"]+)"')


def test_it_compiles_with_a_users_code_in_it(compiled: Path) -> None:
    options = json.loads(re.sub(r"^//.*$", "", (compiled / "tsconfig.json").read_text("utf-8"), flags=re.MULTILINE))
    assert [option for option in STRICT if options["compilerOptions"].get(option) is not True] == []
    assert (compiled / "dist" / "esm" / "usage.js").exists()
    assert (compiled / "dist" / "cjs" / "usage.js").exists()


def test_the_part_for_browsers_compiles_without_the_types_of_node(sources: Path, tool: Tool) -> None:
    config = {
        "extends": "../tsconfig.json",
        "compilerOptions": {"types": [], "noEmit": True},
        "include": [],
        "files": ["index.ts"],
    }
    (sources / "src" / "tsconfig.browser.json").write_text(json.dumps(config), "utf-8")
    run(tool("tsc"), "-p", "src/tsconfig.browser.json", cwd=sources)
    (sources / "src" / "tsconfig.browser.json").unlink()


def test_prettier_would_change_nothing(sources: Path, tool: Tool) -> None:
    run(tool("prettier"), "--check", "src", "README.md", "package.json", "*.json", "*.cjs", cwd=sources)


def test_it_needs_no_other_package(sources: Path) -> None:
    package = json.loads((sources / "package.json").read_text("utf-8"))
    assert {"dependencies", "peerDependencies", "optionalDependencies"} & package.keys() == set()
    foreign = {
        (path.relative_to(sources).as_posix(), module)
        for path in (sources / "src").rglob("*.ts")
        for module in IMPORT.findall(path.read_text("utf-8"))
        if not module.startswith(".")
    }
    assert {(path.rpartition("/")[0], module.partition(":")[0]) for path, module in foreign} == {
        ("src/rpc/node", "node")
    }


def test_every_entry_of_its_package_json_loads(compiled: Path, tool: Tool, tmp_path: Path) -> None:
    modules = tmp_path / "node_modules" / "@protogen"
    modules.mkdir(parents=True)
    (modules / "toy").symlink_to(compiled, target_is_directory=True)
    (tmp_path / "user.cjs").write_text(
        'const { decode } = require("@protogen/toy");\n'
        'const { spawnStdio } = require("@protogen/toy/node");\n'
        'console.log(decode("Closed", \'{"x":1}\').x, typeof spawnStdio);\n'
    )
    (tmp_path / "user.mjs").write_text(
        'import { decode } from "@protogen/toy";\n'
        'import { spawnStdio } from "@protogen/toy/node";\n'
        'console.log(decode("Closed", \'{"x":1}\').x, typeof spawnStdio);\n'
    )
    for user in ("user.cjs", "user.mjs"):
        assert run(tool("node"), user, cwd=tmp_path) == "1 function\n"
    package = json.loads((compiled / "package.json").read_text("utf-8"))
    named = re.findall(r'"(\./dist/[^"]+)"', json.dumps(package["exports"]))
    assert len(named) == 8
    assert [path for path in named if not (compiled / path).exists()] == []


def test_users_resolve_its_types_in_both_module_systems(compiled: Path, tool: Tool, tmp_path: Path) -> None:
    modules = tmp_path / "node_modules" / "@protogen"
    modules.mkdir(parents=True)
    (modules / "toy").symlink_to(compiled, target_is_directory=True)
    (tmp_path / "node_modules" / "@types").symlink_to(compiled / "node_modules" / "@types")
    user = (
        'import { decode, type Closed } from "@protogen/toy";\n'
        'import { requestListener } from "@protogen/toy/node";\n'
        'export const x: Closed = decode("Closed", "{}");\n'
        "// @ts-expect-error the type is not any\n"
        'export const y: string = decode("Closed", "{}");\n'
        "// @ts-expect-error the type is not any\n"
        "export const z: string = requestListener;\n"
    )
    (tmp_path / "user.mts").write_text(user)
    (tmp_path / "user.cts").write_text(user)
    options = ("--module", "node16", "--strict", "--noEmit", "--types", "node", "--skipLibCheck", "false")
    run(tool("tsc"), *options, "user.mts", "user.cts", cwd=tmp_path)


def test_it_behaves_as_its_own_tests_say(compiled: Path, tool: Tool, root: Path) -> None:
    tests = root / "tests" / "typescript_sdk" / "node" / "all.mjs"
    report = run(tool("node"), "--test-reporter=tap", str(tests), cwd=compiled, TOY_SDK=str(compiled))
    passed = re.search(r"^# pass (\d+)$", report, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 200
    assert "# skipped 0" in report
