"""A plugin of protoc's that writes gRPC's stubs for Python: grpcio-tools has one within its own
protoc, where buf does not find it.
"""

import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc


def answer(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """The stubs of the files that are asked for."""
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.binpb"
        image.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
        arguments = [f"--descriptor_set_in={image}", f"--grpc_python_out={folder}"]
        if protoc.main(["protoc", *arguments, *request.file_to_generate]) != 0:
            response.error = "grpcio-tools could not write the stubs"
        for path in sorted(Path(folder).rglob("*.py")):
            response.file.add(name=path.relative_to(folder).as_posix(), content=path.read_text())
    return response


if __name__ == "__main__":
    asked = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(answer(asked).SerializeToString())
