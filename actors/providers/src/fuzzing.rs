//! The entry points of the fuzz targets `sse` and `acp` (`fuzz/`). Tests call them too, with random bytes.

pub use crate::acp::fuzz_lines as acp;
pub use crate::http::fuzz_sse as sse;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Bytes that are special to both formats, and any others.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"\n".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"data: ".to_vec()),
            Just(b"event:".to_vec()),
            Just(br#"{"jsonrpc":"2.0","id":1,"#.to_vec()),
            Just(br#""method":"session/update","params":{}}"#.to_vec()),
            prop::collection::vec(any::<u8>(), 0..12),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_server_sent_events(bytes in bytes()) {
            super::sse(&bytes);
        }

        #[test]
        fn any_bytes_are_read_as_lines_of_an_agent(bytes in bytes()) {
            super::acp(&bytes);
        }
    }
}
