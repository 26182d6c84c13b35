//! Time to parse one request line, from bytes to a typed request. `cargo bench -p kirosu-protocol`.
#![allow(clippy::unwrap_used)]

use divan::{Bencher, black_box};
use kirosu_protocol::{Frame, Limits, LineSplitter, Request, SplitLine};

fn main() {
    divan::main();
}

fn enqueue(prompt_bytes: usize) -> String {
    let prompt = "x".repeat(prompt_bytes);
    format!(
        r#"{{"id":1,"method":"enqueue","params":{{"prompt":"{prompt}","queue":"default","priority":5}}}}"#
    )
}

const ACK: &str =
    r#"{"id":2,"method":"ack","params":{"task_id":42,"fence":1,"status":"done","result":"ok"}}"#;

fn parse(line: &[u8], limits: &Limits) -> Request {
    let frame = Frame::read(line, limits).unwrap();
    Request::read(&frame.method, &frame.params, limits).unwrap()
}

#[divan::bench(args = [200, 10_000, 1_000_000])]
fn parse_enqueue(bencher: Bencher<'_, '_>, prompt_bytes: usize) {
    let (line, limits) = (enqueue(prompt_bytes), Limits::default());
    bencher
        .counter(divan::counter::BytesCount::of_str(&line))
        .bench(|| parse(black_box(line.as_bytes()), &limits));
}

#[divan::bench]
fn parse_ack(bencher: Bencher<'_, '_>) {
    let limits = Limits::default();
    bencher.bench(|| parse(black_box(ACK.as_bytes()), &limits));
}

/// 50 pipelined requests in one read.
#[divan::bench]
fn split_50_lines(bencher: Bencher<'_, '_>) {
    let chunk = (enqueue(200) + "\n").repeat(50);
    let mut splitter = LineSplitter::new(Limits::default().line_bytes);
    bencher.bench_local(|| {
        splitter.push(black_box(chunk.as_bytes()));
        let mut lines = 0;
        while let Some(SplitLine::Text(_)) = splitter.next_line() {
            lines += 1;
        }
        assert_eq!(lines, 50);
    });
}
