"""Builds the Cython parts; everything else is in pyproject.toml.

`POLYWIRE_EXT=polywire.wire.http2` builds one extension only.
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

FLAGS = ["-O3", "-fno-plt", "-fvisibility=hidden", "-g0"]

EXTENSIONS = {
    "polywire.wire.headers": [],
    "polywire.tasks.ahead": [],
    "polywire.wire.tunnel": [],
    "polywire.wire.http1": [],
    "polywire.wire.http2": ["nghttp2"],
    "polywire.wire.http2_client": ["nghttp2"],
    "polywire.codec._times": [],
    "polywire.codec._buffer": [],
    "polywire.codec._bounds": [],
    "polywire.codec._tables": [],
    "polywire.codec._protobuf_read": [],
    "polywire.codec._protobuf_write": [],
    "polywire.codec._protobuf": [],
    "polywire.codec._json_tokens": [],
    "polywire.wire.envelope": [],
    "polywire.wire.websocket": ["z"],
    "polywire.codec._json_read": [],
    "polywire.codec._json_write": [],
    "polywire.codec._parameters": [],
    "polywire.tasks.eager": [],
    "polywire.http._websocket": [],
    "polywire.protocols._raw_socket": [],
    "polywire.protocols._socket_outlet": [],
    "polywire.server._epoll": [],
    "polywire.server._flow": [],
    "polywire.runtime._outlet": [],
    "polywire.topics._delivery": [],
    "polywire.protocols.graphql.execution": [],
}


def extension(name: str, libraries: list[str]) -> Extension:
    path = os.path.join("src", *name.split(".")) + ".pyx"
    return Extension(name, [path], libraries=libraries, extra_compile_args=FLAGS)


wanted = os.environ.get("POLYWIRE_EXT")
extensions = [extension(name, libraries) for name, libraries in EXTENSIONS.items() if wanted in (None, name)]
jobs = len(os.sched_getaffinity(0))
setup(
    ext_modules=cythonize(extensions, include_path=["src"], compiler_directives={"language_level": "3"}, nthreads=jobs),
    options={"build_ext": {"parallel": jobs}},
)
