"""protobuf's own options, by what carries them: a name that is none of them is a slip of the pen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from polywire.protofile.declarations import Option, Place, ProtoError

_BOOL: Final = "true or false"
_STRING: Final = "a string"
_OWN: dict[str, dict[str, str | frozenset[str]]] = {
    "FileOptions": {
        **dict.fromkeys(
            (
                "java_package",
                "java_outer_classname",
                "go_package",
                "objc_class_prefix",
                "csharp_namespace",
                "swift_prefix",
                "php_class_prefix",
                "php_namespace",
                "php_metadata_namespace",
                "ruby_package",
            ),
            _STRING,
        ),
        **dict.fromkeys(
            (
                "java_multiple_files",
                "java_generate_equals_and_hash",
                "java_string_check_utf8",
                "cc_generic_services",
                "java_generic_services",
                "py_generic_services",
                "cc_enable_arenas",
                "deprecated",
            ),
            _BOOL,
        ),
        "optimize_for": frozenset({"SPEED", "CODE_SIZE", "LITE_RUNTIME"}),
    },
    "MessageOptions": dict.fromkeys(
        ("no_standard_descriptor_accessor", "deprecated", "deprecated_legacy_json_field_conflicts"), _BOOL
    ),
    "FieldOptions": {
        **dict.fromkeys(("packed", "lazy", "unverified_lazy", "deprecated", "weak", "debug_redact"), _BOOL),
        "json_name": _STRING,
        "ctype": frozenset({"STRING", "CORD", "STRING_PIECE"}),
        "jstype": frozenset({"JS_NORMAL", "JS_STRING", "JS_NUMBER"}),
        "retention": frozenset(f"RETENTION_{name}" for name in ("UNKNOWN", "RUNTIME", "SOURCE")),
        "targets": frozenset(
            f"TARGET_TYPE_{name}"
            for name in (
                "UNKNOWN",
                "FILE",
                "EXTENSION_RANGE",
                "MESSAGE",
                "FIELD",
                "ONEOF",
                "ENUM",
                "ENUM_ENTRY",
                "SERVICE",
                "METHOD",
            )
        ),
    },
    "OneofOptions": {},
    "EnumOptions": dict.fromkeys(("allow_alias", "deprecated", "deprecated_legacy_json_field_conflicts"), _BOOL),
    "EnumValueOptions": dict.fromkeys(("deprecated", "debug_redact"), _BOOL),
    "ServiceOptions": {"deprecated": _BOOL},
    "MethodOptions": {
        "deprecated": _BOOL,
        "idempotency_level": frozenset({"IDEMPOTENCY_UNKNOWN", "NO_SIDE_EFFECTS", "IDEMPOTENT"}),
    },
}
_REPEATED: Final = frozenset({"targets"})
_NOT_IN_PROTO3 = {
    "features": "features belong to editions",
    "default": "proto3 has no defaults of one's own",
    "message_set_wire_format": "message sets are proto2's",
    "map_entry": "write map<...>",
}


def check_options(kind: str, options: Iterable[Option]) -> list[Option]:
    """Those that are extensions, which are looked up elsewhere. Raises ProtoError for the others that are wrong.

    kind: the message of `google.protobuf` that holds them, `FieldOptions`.
    """
    custom: list[Option] = []
    seen: set[str] = set()
    for option in options:
        if option.name.startswith("("):
            custom.append(option)
            continue
        if option.name in seen:
            raise ProtoError(option.place, f"the option {option.name} is set already")
        if option.name not in _REPEATED:
            seen.add(option.name)
        first = option.name.partition(".")[0]
        if problem := _NOT_IN_PROTO3.get(first):
            raise ProtoError(option.place, f"{first}: {problem}")
        wanted = _OWN[kind].get(option.name)
        if wanted is None:
            raise ProtoError(
                option.place, f"there is no option {option.name!r:.60} here; custom ones are in parentheses"
            )
        _check_value(option, wanted)
    return custom


def _check_value(option: Option, wanted: str | frozenset[str]) -> None:
    place: Place = option.value_place or option.place
    if isinstance(wanted, frozenset):
        fits = isinstance(option.value, str) and not option.is_quoted and option.value in wanted
        said = f"one of {', '.join(sorted(wanted))}"
    elif wanted == _BOOL:
        fits, said = isinstance(option.value, bool), wanted
    else:
        fits, said = option.is_quoted, wanted
    if not fits:
        raise ProtoError(place, f"{option.name} is {said}")
