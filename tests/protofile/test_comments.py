"""What is said of a declaration: the comment before it, or behind it on its line."""

from __future__ import annotations

import pytest

from polywire.protofile import parse

TEXT = """// A licence, which is of the whole file.

// About the file.
// Two lines.
syntax = "proto3";

package a;  // Not about what follows.
// About A,
//
//   and more.
message A {
  // Far away.

  int32 far = 1;
  // Near.
  int32 near = 2;  // And behind.
  int32 behind = 3;  /* Behind alone. */
  /*
   * A block,
   *   indented.
   */
  int32 block = 4;
  // What a block after it
  /** replaces. */
  int32 last = 5;
  int32 none = 6; int32 other = 7; // Of the other.
  // Of the oneof.
  oneof o {
    // Of its field.
    string text = 8;
  }
}
enum E { E_NONE = 0; // Nothing.
  // One.
  E_ONE = 1;
}
// Of S.
service S {
  // Of Get.
  rpc Get(A) returns (A);
  rpc Put(A) returns (A);  // Puts.
  rpc Run(A) returns (A) {}  // Not read.
}
"""


def test_docs() -> None:
    file = parse(TEXT, "a.proto")
    assert file.doc == "About the file.\nTwo lines."
    (message,), (enum,), (service,) = file.messages, file.enums, file.services
    assert message.doc == "About A,\n\n  and more."
    assert {field.name: field.doc for field in message.fields} == {
        "far": "",
        "near": "Near.",
        "behind": "Behind alone.",
        "block": "A block,\n  indented.",
        "last": "replaces.",
        "none": "",
        "other": "Of the other.",
        "text": "Of its field.",
    }
    assert message.oneofs[0].doc == "Of the oneof."
    assert [value.doc for value in enum.values] == ["Nothing.", "One."]
    assert service.doc == "Of S."
    assert [method.doc for method in service.methods] == ["Of Get.", "Puts.", ""]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_places_count_lines_and_columns_from_one(end: str) -> None:
    text = end.join(['syntax = "proto3";', "/* two", "lines */ message A {", '\tstring a = 1; "'])
    with pytest.raises(Exception, match=r"^a\.proto:4:16: a string has no end"):
        parse(text, "a.proto")
    file = parse(text[:-1] + "}", "a.proto")
    assert str(file.messages[0].place) == "a.proto:3:18"
    assert str(file.messages[0].fields[0].place) == "a.proto:4:9"
