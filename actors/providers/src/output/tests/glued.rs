//! Frames after text on the same line.

use super::*;

/// The answer, and the number of warnings.
fn read_lines(cli: &str, lines: &[String]) -> (String, usize) {
    let output = Arc::new(output("", cli));
    let mut reader = RunOutputReader::new(&output, 1 << 20, RunUsage::default());
    let mut warnings = 0;
    for line in lines {
        let events = reader.push(format!("{line}\n").as_bytes());
        let is_warning = |it: &&RunEvent| matches!(it, RunEvent::Warning { .. });
        warnings += events.iter().filter(is_warning).count();
    }
    reader.end();
    (reader.finish().answer, warnings)
}

#[test]
fn text_may_be_glued_to_any_frame() {
    let init = json!({"type": "system", "subtype": "init", "session_id": "s-1"}).to_string();
    let result = |text: &str, session: &str| {
        json!({"type": "result", "subtype": "success", "is_error": false, "result": text, "session_id": session}).to_string()
    };
    for glued in [
        "Loaded cached credentials.",
        "Update available 1.0 -> 1.1",
        "\u{1b}[33mWarning\u{1b}[0m: node 18 is deprecated!  ",
        "Working... ",
        // The id of the conversation distinguishes it from a sentence.
        "Update available 1.0 to 1.1 ",
    ] {
        let lines = [init.clone(), format!("{glued}{}", result("fine", "s-1"))];
        assert_eq!(
            read_lines("claude", &lines),
            ("fine".to_owned(), 1),
            "{glued}"
        );
    }
    let last = result("fine", "s-1");
    for quoted in [
        format!("Here is the frame: {}", result("no", "s-1")),
        format!("[DEBUG] sent {}", result("no", "s-1")),
        format!("The last line of the other run is {}", result("no", "s-2")),
        format!("Done.{}", result("no", "s-2")),
        format!("`{}", result("no", "s-1")),
        // No rule matches it.
        "Settings.{\"result\": \"no\", \"is_error\": false}".to_owned(),
    ] {
        let lines = [init.clone(), last.clone(), quoted.clone()];
        assert_eq!(
            read_lines("claude", &lines),
            ("fine".to_owned(), 1),
            "{quoted}"
        );
    }
}

#[test]
fn a_doubtful_frame_counts_where_no_other_reports_the_end() {
    let stated = |text: &str| {
        json!({"type": "item.completed", "item": {"id": "1", "type": "agent_message", "text": text}}).to_string()
    };
    let end = json!({"type": "turn.completed", "usage": {}}).to_string();
    let doubtful = format!("tokens used 12 {end}");
    let (reading, verdict) = ends::judged(
        "codex",
        &format!("{}\n{doubtful}\n", stated("fine")),
        "",
        OK,
    );
    assert_eq!((reading.answer.as_str(), verdict), ("fine", None));
    let quoted = format!("It printed {}", stated("no"));
    let (reading, verdict) = ends::judged(
        "codex",
        &format!("{}\n{quoted}\n{end}\n", stated("fine")),
        "",
        OK,
    );
    assert_eq!((reading.answer.as_str(), verdict), ("fine", None));
}

#[test]
fn a_document_may_be_glued_to_text() {
    let table = json!({"command": ["x"], "output": {"format": "json", "result": {"value": "/answer"}, "done": {"match": {"/ok": true}}}});
    let definition = Definition::read(None, table.as_object().unwrap()).unwrap();
    for text in [
        "Loaded.{\"answer\": \"4\", \"ok\": true}",
        "Hello.\nLoaded. {\n \"answer\": \"4\",\n \"ok\": true\n}\n",
        "\u{feff}{\"answer\": \"4\",\r\n \"ok\": true}\r\n",
    ] {
        let output = Arc::new(definition.output.clone());
        let mut reader = RunOutputReader::new(&output, 1 << 20, RunUsage::default());
        reader.push(text.as_bytes());
        reader.end();
        let reading = reader.finish();
        assert_eq!(reading.answer, "4", "{text}");
        assert_eq!(reading.terminal, ReportedEnd::Done, "{text}");
    }
}
