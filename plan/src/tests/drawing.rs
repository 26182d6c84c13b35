//! Drawings.

use super::{EXAMPLE, yaml};
use crate::{mermaid, tree};

#[test]
fn a_plan_is_drawn_as_a_tree() {
    let expected = "\
review-docs
  input dir = \"docs\"
  input model
├── read  map over files {{ inputs.dir }}/**/*.md  @fast
├── digest  reduce of read, 30 at a time  after read
├── polish  loop until steps.judge.json.ok, at most 4  after digest
│   ├── write  task  @coders
│   └── judge  task  @judges  after write
├── ok  approve  after polish
├── ship  run make publish  after ok  if steps.ok.approved
└── tell  run ./notify {{ run.state }}  always
";
    assert_eq!(tree(&yaml(EXAMPLE)), expected);
}

#[test]
fn a_plan_is_drawn_for_mermaid() {
    let expected = "\
flowchart TD
  s_read[[\"read: map over files {{ inputs.dir }}/**/*.md\"]]
  s_digest[\"digest: reduce of read, 30 at a time\"]
  subgraph s_polish[\"polish: loop until steps.judge.json.ok, at most 4\"]
    s_write[\"write: task\"]
    s_judge[\"judge: task\"]
  end
  s_ok{{\"ok: approve\"}}
  s_ship[/\"ship: run make publish\"/]
  s_tell[/\"tell: run ./notify {{ run.state }}\"/]
  s_read --> s_digest
  s_digest --> s_polish
  s_write --> s_judge
  s_polish --> s_ok
  s_ok -. if .-> s_ship
";
    assert_eq!(mermaid(&yaml(EXAMPLE)), expected);
}

#[test]
fn texts_of_a_plan_cannot_break_a_drawing() {
    let plan = yaml("pipeline: [{id: end, run: ['a\"]\\n\\e[31m', '<b>#']}]");
    let text = mermaid(&plan);
    assert_eq!(text.lines().count(), 2);
    assert!(
        text.contains("#quot;") && text.contains("#lt;b#gt;#35;"),
        "{text}"
    );
}
