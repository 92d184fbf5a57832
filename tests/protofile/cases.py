"""Texts of proto3 behind `syntax = "proto3";` in a line of its own: what protoc reads, and what it refuses.

Each refused one has the place at which we say so, and the beginning of what we say.
"""

from __future__ import annotations

EVERYTHING = """
// Everything at once.
package a.b;
import "google/protobuf/timestamp.proto";
import "google/protobuf/descriptor.proto";
import public "google/protobuf/duration.proto";
import "google/api/annotations.proto";
option java_package = "x.y" 'z';
option (top) = "\\x41\\101\\n";
extend google.protobuf.FileOptions { string top = 50001; }
extend google.protobuf.FieldOptions { optional Rules rules = 50002; repeated int32 many = 50003; }
message Rules { int32 least = 1; string pattern = 2; Rules inner = 3; }
/* Doc of A.
 * More of it.
 */
message A {
  option deprecated = true;
  reserved 5, 7 to 9, 100 to max;
  reserved "old", "older";
  // The id.
  int64 id = 1 [(rules) = { least: 1 pattern: "x" inner { least: -2 }; }, deprecated = true];
  optional string name = 2 [json_name = "theName", (rules).least = 5];  // Said behind it.
  repeated int32 numbers = 3 [packed = false, (many) = 1, (many) = 2];
  map<string, B> bs = 4;
  map<sint32, Color> by_number = 10;
  oneof choice {
    string text = 11;
    A.B b = 12;
    .a.b.Color color = 13 [deprecated = true];
  }
  message B { Color c = 1; enum Color { C_NO = 0; C_YES = 1; } }
  google.protobuf.Timestamp at = 14;
  google.protobuf.Duration took = 0x10;
  optional B optional_b = 021;
  string message = 18; bool enum = 19; bytes option = 20;
}
enum Color {
  option allow_alias = true;
  COLOR_NONE = 0;  // Nothing.
  COLOR_RED = 1;
  COLOR_ROT = 1 [deprecated = true];
  NEG = -1;
  reserved 10 to 20, -5, 1000 to max;
  reserved "GREEN";
};

// Not about S.

service S {
  // Gets.
  rpc Get(A) returns (a.b.A.B) {
    option (google.api.http) = { get: "/v1/{id}" additional_bindings { post: "/x" body: "*" } };
    option idempotency_level = NO_SIDE_EFFECTS;
  }
  rpc Watch(stream A) returns (stream .a.b.A);
  rpc Up(stream Rules) returns (A) {};
}
"""
WELL_KNOWN = (
    "any",
    "api",
    "duration",
    "empty",
    "field_mask",
    "source_context",
    "struct",
    "timestamp",
    "type",
    "wrappers",
)
READ = {
    "nothing": "",
    "statements of nothing": ";; message A {}; enum E { A_ = 0; ; }",
    "everything": EVERYTHING,
    "a package behind what is in it": "message A { p.q.A a = 1; } package p.q; service S { rpc M(A) returns (q.A); }",
    "a byte order mark": "message A {}",
    "words that are keywords elsewhere": (
        "message A { int32 int32 = 1; string message = 2; bool oneof = 3; bool reserved = 4; bool optional = 5; bool"
        " map = 6; bool rpc = 7; bool extensions = 8; bool group = 9; bool stream = 10; bool syntax = 11; }"
    ),
    "a message called map": "message map {} message A { map m = 1; map map = 2; }",
    "a message called like a scalar": "message int32 {} message A { int32 a = 1; .int32 b = 2; }",
    "the innermost scope": "message A { message B { message A {} A a = 1; .A b = 2; } B b = 1; }",
    "a field in the way of its type": "message A { int32 B = 1; B b = 2; A A = 3; } message B {}",
    "a service in the way of its message": "message S {} service T { rpc M(S) returns (.S); }",
    "numbers of other bases": "message A { int32 a = 0x1F; int32 b = 017; } enum E { A_ = 0; B_ = 0x7FF; C_ = -0x8; }",
    "the largest numbers": "message A { int32 a = 536870911; int32 b = 18999; int32 c = 20000; }",
    "the least and the largest of an enum": "enum E { A = 0; B = 2147483647; C = -2147483648; }",
    "options of other languages": 'option go_package = "x/y;z"; option optimize_for = CODE_SIZE; message A { string a'
    " = 1 [ctype = CORD, debug_redact = true]; int64 b = 2 [jstype = JS_STRING]; A c = 3 [lazy = true]; }",
    "an option of an oneof and of values": (
        'import "google/protobuf/descriptor.proto"; extend google.protobuf.OneofOptions { bool o = 50000; }'
        " extend google.protobuf.EnumValueOptions { string v = 50000; } message A { oneof x { option (o) = true; int32"
        ' a = 1; } } enum E { E_A = 0 [(v) = "x"]; }'
    ),
    "an option declared within a message": (
        'import "google/protobuf/descriptor.proto"; message A { extend google.protobuf.FieldOptions { string a = 50000;'
        ' } string b = 1 [(A.a) = "x"]; }'
    ),
    "http in angle brackets and lists": (
        'import "google/api/annotations.proto"; message A {} service S { rpc M(A) returns (A) { option'
        ' (google.api.http) = { get: "/a" "/b" additional_bindings: [<get: "/c">, {custom <kind: "HEAD", path: "/d">}]'
        ' }; } rpc N(A) returns (A) { option (google.api.http).get = "/e"; } }'
    ),
    "every file of protobuf": "".join(f'import "google/protobuf/{name}.proto";\n' for name in WELL_KNOWN)
    + "message A { google.protobuf.Api a = 1; google.protobuf.Type b = 2; google.protobuf.Value c = 3;"
    " google.protobuf.NullValue d = 4; google.protobuf.FieldMask e = 5; google.protobuf.Any f = 6; map<string,"
    " google.protobuf.ListValue> g = 7; google.protobuf.BytesValue h = 8; google.protobuf.Field.Kind i = 9; }",
    "names of JSON that nearly clash": "message A { int32 foo_bar = 1; int32 foobar = 2; int32 FooBar = 3; int32 a = 4;"
    ' int32 b = 5 [json_name = "c"]; int32 c = 6 [json_name = "b"]; }',
    "names beside those that protoc makes": "message A { optional int32 a = 1; int32 _a = 2; int32 X_a = 3; }",
    "values that nearly clash": "enum Foo { FOO_BAR_BAZ = 0; FOO_BARBAZ = 1; FOO = 2; FO_OX = 3; }",
    "reserved with a name that is none": 'message A { reserved "a-b", "c"; }',
    "comments everywhere": "/**/ message /* a */ A // b\n{ /***/ int32 a = /* d */ 1 /* e */; /* f\n */ } // end",
    "a form feed": "message\f A\v {\r\n}\r\n",
}
REFUSED = {
    # Tokens
    "message A {} @": ("2:14", "'@' means nothing"),
    "message Ä {}": ("2:9", "'Ä' means nothing"),
    "/* x": ("2:1", "a comment has no end"),
    "/* x /* y */ message A {}": ("2:1", "a comment begins within"),
    'option go_package = "x': ("2:21", "a string has no end"),
    'option go_package = "x\\\n";': ("2:21", "a string has no end"),
    'option go_package = "\\q";': ("2:21", "'\\\\q' is no escape"),
    'option go_package = "\\xZZ";': ("2:21", "'\\\\x' is no escape"),
    "message A { int32 a = 1a; }": ("2:24", "a number ends where"),
    # Grammar
    "message A": ("2:10", "expected '{', found the end"),
    "message A {": ("2:12", "expected a field's type, found the end"),
    "message 5 {}": ("2:9", "expected the message's name, found '5'"),
    "message A { int32 a }": ("2:21", "expected '=', found '}'"),
    "message A { int32 = 1; }": ("2:19", "expected the field's name"),
    "message A { int32 a = 1.5; }": ("2:23", "expected a field's number"),
    "message A { int32 a = 08; }": ("2:23", "'08' is no number"),
    "message A { int32 a = 1 []; }": ("2:26", "expected an option's name"),
    "message A { message m = 1; }": ("2:23", "expected '{'"),
    "message A { oneof o { } }": ("2:19", "a oneof has at least one field"),
    "message A { oneof o { repeated int32 a = 1; } }": ("2:23", "a field of a oneof is not repeated"),
    "message A { optional map<string, int32> m = 1; }": ("2:13", "a map is neither"),
    "message A { map<float, int32> m = 1; }": ("2:17", "float cannot be a map's key"),
    "message A { required int32 a = 1; }": ("2:13", "required is proto2's"),
    "message A { extensions 100 to 200; }": ("2:13", "extensions are proto2's"),
    "message A { optional group G = 1 { int32 a = 2; } }": ("2:13", "groups are proto2's"),
    'message A { reserved 1, "a"; }': ("2:25", "expected a reserved number"),
    "package .a;": ("2:9", "expected the package's name"),
    "package a; package b;": ("2:12", "there are two packages"),
    "int32 a = 1;": ("2:1", "expected message, enum, service"),
    "service S { message B {} }": ("2:13", "expected rpc or option"),
    "message stream {} service S { rpc M(stream) returns (stream); }": ("2:43", "expected a message's name"),
    "service S { rpc M(int32) returns (int32); }": ("2:19", "int32 is no message"),
    'syntax = "proto3";': ("2:1", "expected message, enum"),
    # Numbers
    "message A { int32 a = 0; }": ("2:23", "a field's number must be from 1"),
    "message A { int32 a = 536870912; }": ("2:23", "a field's number must be from 1 to 536870911"),
    "message A { int32 a = 19000; }": ("2:19", "numbers 19000 to 19999"),
    "message A { int32 a = 1; int32 b = 1; }": ("2:32", "b has the number 1 of a"),
    "message A { reserved 1 to 5, 3; }": ("2:9", "A reserves 3 twice"),
    "message A { reserved 5 to 1; }": ("2:27", "the range 5 to 1 has no number"),
    "message A { reserved 3 to 9; int32 a = 9; }": ("2:36", "a has the number 9, which is reserved"),
    'message A { reserved "a"; int32 a = 1; }': ("2:33", "the name a is reserved"),
    'message A { reserved "a", "a"; }': ("2:9", "A reserves the name a twice"),
    # Enums
    "enum E { }": ("2:6", "the enum E has no value"),
    "enum E { A = 1; }": ("2:10", "the first value of E must be 0"),
    "enum E { A = 0; B = 0; }": ("2:17", "B has the number of A"),
    "enum E { option allow_alias = true; A = 0; B = 1; }": ("2:6", "E allows aliases, and has none"),
    "enum E { A = 0; B = 2147483648; }": ("2:21", "a value's number must be from"),
    "enum E { E_FOO = 0; FOO = 1; }": ("2:21", "FOO and E_FOO are the same without"),
    "enum E { A = 0; B = 5; reserved 4 to 6; }": ("2:17", "B has the number 5, which is reserved"),
    "enum E { A = 0; } enum F { A = 0; }": ("2:28", "A is declared already"),
    # Names
    "message A {} message A {}": ("2:22", "A is declared already"),
    "message A { message B {} int32 B = 1; }": ("2:32", "A.B is declared already"),
    "message A { map<string, int32> m = 1; message MEntry {} }": ("2:32", "A.MEntry is declared already"),
    "message A { oneof o { int32 o = 1; } }": ("2:29", "A.o is declared already"),
    "message A { int32 foo_bar = 1; int32 fooBar = 2; }": ("2:38", "fooBar and foo_bar are both 'fooBar'"),
    'message A { int32 a = 1 [json_name="[b]"]; }': ("2:19", "'[b]' is no name in JSON"),
    "message A {} service A {}": ("2:22", "A is declared already"),
    "message A {} service S { rpc M(A) returns (A); rpc M(A) returns (A); }": ("2:52", "S.M is declared already"),
    # Types
    "message A { B a = 1; }": ("2:13", "B is not declared"),
    "message A { B.D a = 1; } message B { message C {} }": ("2:13", "B.D is not declared"),
    "package foo; message A { foo.A a = 1; message foo {} }": ("2:26", "foo.A is not declared"),
    "message A { google.protobuf.Timestamp a = 1; }": ("2:13", "google.protobuf.Timestamp is not declared"),
    "message A {} enum E { X = 0; } service S { rpc M(E) returns (A); }": ("2:50", "E is no message"),
    "message S {} service T { rpc S(S) returns (S); }": ("2:32", "S is no message"),
    # Imports
    'import "nope.proto";': ("2:8", "there is no file 'nope.proto'"),
    'import "x.proto";': ("2:8", "files import each other in a circle: x.proto -> x.proto"),
    'import "../x.proto";': ("2:8", "'../x.proto' is no path within"),
    'import "/x.proto";': ("2:8", "'/x.proto' is no path within"),
    'import "google/protobuf/any.proto"; import "google/protobuf/any.proto";': (
        "2:44",
        "'google/protobuf/any.proto' is",
    ),
    # Options
    "option nope = 1;": ("2:8", "there is no option 'nope'"),
    "option java_package = 5;": ("2:23", "java_package is a string"),
    "option optimize_for = FAST;": ("2:23", "optimize_for is one of"),
    'option java_package = "a"; option java_package = "b";': ("2:35", "the option java_package is set already"),
    "option features.field_presence = IMPLICIT;": ("2:8", "features: features belong to editions"),
    "message A { option map_entry = true; }": ("2:20", "map_entry: write map<...>"),
    "message A { int32 a = 1 [deprecated = 1]; }": ("2:39", "deprecated is true or false"),
    "message A { int32 a = 1 [default = 5]; }": ("2:26", "default: proto3 has no defaults"),
    "message A { int32 a = 1 [(x) = 5]; }": ("2:26", "x is not declared"),
    "message A { repeated string a = 1 [packed = true]; }": ("2:29", "only repeated numbers"),
    "message A { string a = 1 [lazy = true]; }": ("2:20", "only messages are lazy"),
    "message A { string a = 1 [jstype = JS_STRING]; }": ("2:20", "only 64-bit integers"),
    "message A {} extend A { int32 a = 2000; }": ("2:21", "A is extended; proto3 extends"),
    'import "google/protobuf/descriptor.proto"; extend google.protobuf.FileOptions { }': ("2:81", "expected a field"),
    'import "google/protobuf/descriptor.proto"; extend google.protobuf.FileOptions { int32 a = 999; }': (
        "2:87",
        "a has the number 999",
    ),
    'import "google/protobuf/descriptor.proto"; extend google.protobuf.FileOptions { int32 a = 5000; } message A {'
    " option (a) = 1; }": ("2:118", "(a) is no option here"),
}


def nested(depth: int) -> str:
    return "message A {" * depth + "}" * depth


READ["messages as deep as can be"] = nested(31)
REFUSED[nested(32)] = ("2:350", "messages are more than 31 deep")
