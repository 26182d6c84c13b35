//! The speakers are taken for granted by every figure, so they are held to what the servers really answer.

use super::*;

/// A request to a server and its answer.
fn round(talk: &mut impl Talk, asks: &str, answers: &[&str]) {
    let mut out = Vec::new();
    let expected = talk.next(&mut out);
    let said = String::from_utf8_lossy(&out).into_owned();
    assert!(said.contains(asks), "{said:?} lacks {asks:?}");
    assert_eq!(expected, answers.len());
    for answer in answers {
        let bytes = answer.as_bytes();
        for cut in 0..bytes.len() {
            assert_eq!(talk.take(&bytes[..cut]), Ok(0), "taken though cut at {cut}");
        }
        assert_eq!(talk.take(bytes), Ok(bytes.len()));
    }
}

#[test]
fn a_hub_is_led_through_the_cycle_and_the_acks_name_what_was_leased() {
    let mut talk = Kirosu::new(1, 2, Style::Plain);
    let (first, second) = (
        "{\"id\":1,\"result\":{\"task_id\":41},\"error\":null}\n",
        "{\"id\":1,\"result\":{\"task_id\":42},\"error\":null}\n",
    );
    round(&mut talk, "\"method\":\"enqueue\"", &[first, second]);
    let lease =
        "{\"id\":2,\"result\":{\"tasks\":[{\"task_id\":41,\"error\":null}]},\"error\":null}\n";
    round(&mut talk, "\"max_tasks\":2}", &[lease]);
    let rest = lease.replace("41", "42");
    round(&mut talk, "\"max_tasks\":1}", &[&rest]);
    let ok = "{\"id\":3,\"result\":{\"ok\":true},\"error\":null}\n";
    round(&mut talk, "\"task_id\":42,\"status\":\"done\"", &[ok, ok]);
    talk.next(&mut Vec::new());
    assert_eq!(talk.cycles(), 2);
}

#[test]
fn a_refusal_is_an_error_in_either_style() {
    let mut plain = Kirosu::new(1, 1, Style::Plain);
    plain.next(&mut Vec::new());
    let refusal = b"{\"id\":1,\"result\":null,\"error\":{\"message\":\"busy\",\"code\":-32005}}\n";
    assert!(plain.take(refusal).is_err());
    let mut batched = Kirosu::new(1, 1, Style::Batched);
    batched.next(&mut Vec::new());
    let one_of_many =
        b"{\"id\":3,\"result\":{\"acks\":[{\"task_id\":1,\"error\":{\"code\":-32003}}]},\"error\":null}\n";
    assert!(batched.take(one_of_many).is_err());
}

#[test]
fn a_redis_is_led_through_the_same_cycle() {
    let mut talk = Redis::new(1, 1);
    round(&mut talk, "LPUSH\r\n$4\r\nwork\r\n$200\r\n", &[":1\r\n"]);
    round(&mut talk, "BRPOPLPUSH", &["$6\r\nA task\r\n"]);
    round(
        &mut talk,
        "LREM\r\n$7\r\ntaken:1\r\n$2\r\n-1\r\n$6\r\nA task\r\n",
        &[":1\r\n"],
    );
    talk.next(&mut Vec::new());
    assert_eq!(talk.cycles(), 1);
    assert!(talk.take(b"-ERR no\r\n").is_err());
}
