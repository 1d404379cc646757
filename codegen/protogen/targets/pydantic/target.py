"""Types of a protocol as pydantic v2 models, made by datamodel-code-generator.

Knows which of its options make models agree with the schema; what they are fed is `prepare`'s business.
"""

from __future__ import annotations

import ast
import json
from typing import Any

from protogen import ir
from protogen.naming import pascal
from protogen.output import GeneratedFile, Options, Renderer, header_lines
from protogen.problems import Problem, error

_NOT_LINTED = ("ruff: noqa", "fmt: off")
"""The text is another generator's: its style is not ours to repair. Type checkers do read it."""


_OURS = ("BaseModel", "RootModel", "StrictFloat", "StrictInt")
"""Names that the models take from `base.py` instead of pydantic."""


class PydanticTarget:
    """The Target that writes a package of pydantic models."""

    name = "pydantic"
    summary = "pydantic v2 models (Python), through datamodel-code-generator"

    def generate(
        self, protocol: ir.Protocol, options: Options, renderer: Renderer
    ) -> tuple[list[GeneratedFile], list[Problem]]:
        """`models.py`, `base.py` and `rules.py` that it stands on, and `__init__.py` with all models by definition.

        A definition without a class of its name is a Problem: the models would not be the protocol's types.
        """
        del options  # the folder is the package: it is called as whoever copies it likes
        import pprint

        from protogen.targets.pydantic.prepare import checked, class_names, prepared, undisturbed

        names = class_names(protocol)
        header = header_lines(protocol)
        with undisturbed():
            text = models(prepared(protocol, names), header)
        made = {node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
        problems = [
            error(
                "PG306",
                f'definition "{name}" got no model {names[name]}',
                fix="leave the protocol out of the pydantic target, or say it with fewer combinators",
            )
            for name in names
            if names[name] not in made
        ]
        classes, definitions = checked(protocol, names)
        view: dict[str, Any] = {
            "header": header,
            "title": json.dumps(protocol.name),
            "table": [(json.dumps(name), names[name]) for name in sorted(names, key=names.__getitem__)],
            "classes": classes,
            "definitions": pprint.pformat(definitions, width=118, sort_dicts=False),
        }
        static = renderer.static("pydantic/static")
        return [
            GeneratedFile(path="__init__.py", text=renderer.render("pydantic/init.py.j2", **view)),
            *(GeneratedFile(path=path, text=_headed(static[path], header)) for path in static),
            GeneratedFile(path="models.py", text=text),
            GeneratedFile(path="py.typed", text=""),
            GeneratedFile(path="rules.py", text=renderer.render("pydantic/rules.py.j2", **view)),
        ], problems


def _headed(text: str, header: list[str]) -> str:
    return "".join(f"# {line}\n" for line in header) + text


def models(schema: dict[str, Any], header: list[str]) -> str:
    """The module of models for a prepared schema: the only place that knows datamodel-code-generator."""
    import datamodel_code_generator as generator
    from datamodel_code_generator.enums import DataModelType, StrictTypes, TargetPydanticVersion
    from datamodel_code_generator.format import Formatter, PythonVersion

    text = generator.generate(
        json.dumps(schema),
        input_file_type=generator.InputFileType.JsonSchema,
        output_model_type=DataModelType.PydanticV2BaseModel,
        target_python_version=PythonVersion.PY_311,
        target_pydantic_version=TargetPydanticVersion.V2_14,
        custom_file_header="".join(f"# {line}\n" for line in (*header, *_NOT_LINTED)),
        disable_timestamp=True,
        formatters=[Formatter.BUILTIN],
        builtin_format_line_length=120,
        use_double_quotes=True,
        allow_remote_refs=False,
        strict_refs=True,
        skip_root_model=True,
        keep_model_order=True,
        # Absent, null and a value are three states.
        strict_nullable=True,
        use_missing_sentinel=True,
        # Strict scalars, and classes that check what types cannot say, from our own module.
        strict_types=[StrictTypes.int, StrictTypes.float, StrictTypes.str, StrictTypes.bool],
        import_overrides=dict.fromkeys(("BaseModel", "RootModel", "StrictFloat", "StrictInt"), ".base"),
        # What the schema says, not an approximation of it.
        use_single_value_enum_as_const=True,
        read_const_beside_enum=True,
        filter_literal_values=True,
        intersect_allof_keywords=True,
        use_typed_nullable_map_values=True,
        use_typed_map_values_beside_other_types=True,
        use_single_dict_for_object_maps=True,
        use_tuple_for_fixed_items=True,
        use_tuple_for_closed_arrays=True,
        use_site_models_for_constrained_refs=True,
        keep_enum_member_values=True,
        field_constraints=True,
        use_annotated=True,
        use_standard_collections=True,
        use_union_operator=True,
        use_schema_description=True,
        use_exact_imports=True,
        naming_strategy=generator.NamingStrategy.PrimaryFirst,
        custom_class_name_generator=lambda name: name if name in schema["definitions"] else pascal(name) or "Value",
    )
    if not isinstance(text, str):
        raise TypeError(f"expected one module of models, got {type(text).__name__}")
    return text.rstrip("\n") + "\n"


TARGET = PydanticTarget()
