#!/usr/bin/env bash
# Generate the stubs and compile the example: build.sh FOLDER. It needs a JDK from 17 on, and
# Debian's protobuf-compiler, protobuf-compiler-grpc-java-plugin, libgrpc-java, libprotobuf-java,
# libnetty-java, libgoogle-gson-java, libperfmark-java and libgeronimo-annotation-1.3-spec-java.
# COMMON_PROTOS is where google/type/date.proto and google/rpc/*.proto are, WELL_KNOWN_PROTOS where
# google/protobuf/*.proto are (libprotobuf-dev: /usr/include).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
protos=$here/../../protos
folder=${1:?build.sh FOLDER}
jars=${JARS:-/usr/share/java}
mkdir -p "$folder/generated" "$folder/classes"
protoc --java_out="$folder/generated" --grpc_out="$folder/generated" \
  --plugin=protoc-gen-grpc="$(command -v grpc_java_plugin)" \
  -I"$protos" -I"${COMMON_PROTOS:?}" -I"${WELL_KNOWN_PROTOS:-/usr/include}" \
  oip/type/v1/type.proto oip/enrolment/v1/enrolment.proto oip/orders/v1/orders.proto \
  google/type/date.proto google/rpc/status.proto google/rpc/error_details.proto
find "$folder/generated" -name '*.java' > "$folder/sources"
javac -nowarn -proc:none -encoding UTF-8 -classpath "$jars/*" -d "$folder/classes" \
  "@$folder/sources" "$here"/*.java
