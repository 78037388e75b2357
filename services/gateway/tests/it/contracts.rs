//! Contracts for the tests: the real one, the sample one, and broken ones.

use beem_proto::Contract;

/// Compiles the text of one proto file against `proto/`.
pub fn compiled(text: &str) -> Contract {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.proto"), text).unwrap();
    let protos = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let mut compiler = protox::Compiler::new([dir.path().to_str().unwrap(), protos]).unwrap();
    compiler.include_imports(true).include_source_info(true).open_file("t.proto").unwrap();
    Contract::from_bytes(&compiler.encode_file_descriptor_set()).unwrap()
}

/// Everything the transcoder must cope with: `tests/protos/sample.proto`.
pub fn sample() -> Contract {
    compiled(include_str!("../protos/sample.proto"))
}

/// A contract of one service with these methods and messages.
pub fn with(methods: &str, messages: &str) -> Contract {
    compiled(&format!(
        "syntax = \"proto3\"; package beem.t.v1;
         import \"beem/access/v1/access.proto\"; import \"google/api/annotations.proto\";
         import \"google/protobuf/struct.proto\"; import \"google/protobuf/field_mask.proto\";
         {messages}
         service S {{ option (beem.access.v1.owner) = \"t\"; {methods} }}"
    ))
}

/// A signed-in method with an HTTP rule.
pub fn method(name: &str, request: &str, http: &str) -> String {
    format!(
        "
        // Does.
        rpc {name}({request}) returns (Out) {{
          option (google.api.http) = {{ {http} }};
          option (beem.access.v1.access) = {{ signed_in: true }};
        }}"
    )
}
