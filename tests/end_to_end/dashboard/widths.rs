//! Columns stay aligned, whatever the characters of a prompt: measured by tmux, not by the dashboard's own rule.

use super::{SIZES, ended, hub, open};

/// One of each kind of character that has shifted a column in some program.
const ODD: [&str; 14] = [
    "👩\u{200d}👩\u{200d}👧\u{200d}👦 family",
    "🏳\u{fe0f}\u{200d}🌈 rainbow",
    "🇩🇪🇫🇷 flags",
    "👍🏽👩🏿\u{200d}🚀 skin",
    "❤\u{fe0f}☎\u{fe0e} selectors",
    "1\u{fe0f}\u{20e3} keycap",
    "e\u{301}\u{302}\u{303}\u{304}\u{305} marks",
    "日本語 ｶﾞ 한글 \u{1112}\u{1161}\u{11ab}",
    "हिन्दी में",
    "العربية لا שלום",
    "ภาษาไทย ก็กำ",
    "a\u{200b}b\u{200d}c\u{2060}d\u{feff}e zero",
    "\u{7}bell\u{8}\u{9b}31mcsi\u{1b}]0;t\u{7} control",
    "½ … — ﷽ ꧅ Ａ",
];

#[test]
fn columns_stay_aligned_whatever_the_characters() {
    let hub = hub();
    let mut client = hub.client();
    for text in ODD {
        let id = client.enqueue(&format!("{text} {}", "long enough to be cut ".repeat(10)));
        ended(&mut client, id);
    }
    for size in SIZES {
        let tmux = open(&hub, size, "");
        let screen = tmux.see(&["family", "control", &format!("{} done", ODD.len())]);
        println!("{screen}");
        let column = |line: &str, at: &str| {
            let before = line.split_once(at).map(|(before, _)| before);
            before.map(|before| tmux.columns(before))
        };
        let heading = screen.lines().find_map(|line| column(line, "RESULT"));
        let rows: Vec<&str> = screen
            .lines()
            .filter(|line| line.contains(" done "))
            .collect();
        let rows: Vec<&str> = rows
            .into_iter()
            .filter(|line| line.contains("answer to"))
            .collect();
        assert_eq!(rows.len(), ODD.len(), "{screen}");
        for row in rows {
            assert_eq!(column(row, "answer to"), heading, "{row}\n{screen}");
            assert!(tmux.columns(row) <= size.0, "{row}");
        }
        // The same texts in a table of the command line.
        let list = format!(
            "'{}' --port {} list --limit 20",
            env!("CARGO_BIN_EXE_kirosu"),
            hub.port
        );
        let tmux = crate::common::tmux::Tmux::start(size, &[], &list);
        let screen = tmux.see(&["family", "[exit 0]"]);
        let heading = screen.lines().find_map(|line| column(line, "RESULT"));
        for row in screen.lines().filter(|line| line.contains("answer to")) {
            assert_eq!(column(row, "answer to"), heading, "{row}\n{screen}");
        }
    }
}
