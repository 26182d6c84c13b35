//! Draws the supervision tree with box characters, one line per actor.

use super::Args;
use crate::cli::{Paint, Screen, text, time};
use kirosu_protocol::TreeNode;

/// Maximum number of ordinary siblings that are shown.
const SIBLINGS: usize = 12;

/// A line of the drawing.
struct TreeLine<'a> {
    /// Box characters before the name.
    branch: String,
    name: String,
    node: Option<&'a TreeNode>,
}

/// Draws the tree within the limits of the flags.
pub fn draw(root: &TreeNode, args: &Args, screen: &Screen) -> String {
    let room = screen.width.unwrap_or(usize::MAX);
    let line = |pieces: Vec<(String, Paint)>| {
        let painted = pieces
            .iter()
            .map(|(text, paint)| screen.paint(*paint, text));
        format!("{}\n", painted.collect::<String>().trim_end())
    };
    pieces(root, args, room).into_iter().map(line).collect()
}

/// The drawing for `room` columns: the painted pieces of each line.
pub fn pieces(root: &TreeNode, args: &Args, room: usize) -> Vec<Vec<(String, Paint)>> {
    let mut lines = Vec::new();
    lines.push(TreeLine {
        branch: String::new(),
        name: text::one_line(&root.name),
        node: Some(root),
    });
    branches(root, "", 0, args, &mut lines);
    let wide = |line: &TreeLine<'_>| text::width(&line.branch) + text::width(&line.name);
    let named = lines
        .iter()
        .filter(|line| line.node.is_some())
        .map(wide)
        .max()
        .unwrap_or(0);
    let states = lines
        .iter()
        .filter_map(|line| line.node)
        .map(|node| node.state.len())
        .max();
    let states = states.unwrap_or(0);
    lines
        .iter()
        .map(|line| {
            let branch = (line.branch.clone(), Paint::Dim);
            let Some(node) = line.node else {
                return vec![branch, (line.name.clone(), Paint::Dim)];
            };
            let name = match node.kind.as_str() {
                "supervisor" => Paint::Bold,
                _ => Paint::Plain,
            };
            let pad = " ".repeat(named - wide(line) + 2);
            let gap = " ".repeat(states - node.state.len() + 2);
            let room = room.saturating_sub(named + 2 + states + 2).max(16);
            let facts = text::fit(&text::one_line(&facts(node)), room);
            vec![
                branch,
                (line.name.clone(), name),
                (pad, Paint::Plain),
                (node.state.clone(), Paint::of_state(&node.state)),
                (gap, Paint::Plain),
                (facts, facts_paint(node)),
            ]
        })
        .collect()
}

fn branches<'a>(
    node: &'a TreeNode,
    before: &str,
    depth: usize,
    args: &Args,
    lines: &mut Vec<TreeLine<'a>>,
) {
    if args.depth.is_some_and(|most| depth >= most) {
        return;
    }
    let shown = worth_showing(&node.children, args.all);
    let left_out = node.children.len() - shown.len();
    for (at, child) in shown.iter().enumerate() {
        let last = at + 1 == shown.len() && left_out == 0;
        let (branch, below) = if last {
            ("└── ", "    ")
        } else {
            ("├── ", "│   ")
        };
        lines.push(TreeLine {
            branch: format!("{before}{branch}"),
            name: text::one_line(&child.name),
            node: Some(child),
        });
        branches(child, &format!("{before}{below}"), depth + 1, args, lines);
    }
    if left_out > 0 {
        lines.push(TreeLine {
            branch: format!("{before}└── "),
            name: format!("… {} more", text::grouped(left_out as u64)),
            node: None,
        });
    }
}

/// Selects from many siblings those that are not running or were restarted, and the first ordinary ones.
fn worth_showing(children: &[TreeNode], all: bool) -> Vec<&TreeNode> {
    if all || children.len() <= SIBLINGS {
        return children.iter().collect();
    }
    let notable = |node: &TreeNode| node.state != "running" || node.restarts > 0;
    let mut room = SIBLINGS
        - children
            .iter()
            .filter(|node| notable(node))
            .count()
            .min(SIBLINGS / 2);
    let mut notables = SIBLINGS;
    let mut keep = |node: &&TreeNode| {
        let left = if notable(node) {
            &mut notables
        } else {
            &mut room
        };
        let kept = *left > 0;
        *left = left.saturating_sub(1);
        kept
    };
    children.iter().filter(|node| keep(node)).collect()
}

fn facts(node: &TreeNode) -> String {
    let mut facts = Vec::new();
    if let Some(up) = node.uptime.filter(|_| node.state == "running") {
        facts.push(format!("up {}", time::span(up)));
    }
    if node.restarts > 0 {
        facts.push(text::count(node.restarts, "restart"));
    }
    if let Some(seconds) = node.next_restart_in {
        facts.push(format!("again in {}", time::span(seconds)));
    }
    if let Some(waiting) = node.mailbox.filter(|n| *n > 0) {
        facts.push(format!("{} waiting", text::grouped(waiting)));
    }
    if let Some(handled) = node.handled.filter(|n| *n > 0) {
        facts.push(format!("{} handled", text::grouped(handled)));
    }
    if let Some(exit) = &node.last_exit {
        facts.push(format!("last exit: {exit}"));
    }
    facts.join(", ")
}

fn facts_paint(node: &TreeNode) -> Paint {
    match node.restarts > 0 || node.next_restart_in.is_some() {
        true => Paint::Attention,
        false => Paint::Dim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, children: Vec<TreeNode>) -> TreeNode {
        TreeNode {
            name: name.into(),
            state: "running".into(),
            children,
            ..TreeNode::default()
        }
    }

    fn drawn(root: &TreeNode, args: Args) -> String {
        draw(root, &args, &Screen::default())
    }

    #[test]
    fn draws_branches_states_and_histories() {
        let mut sick = node("2", vec![]);
        sick.state = "backing_off".into();
        sick.restarts = 3;
        sick.next_restart_in = Some(1.5);
        sick.last_exit = Some("panicked: oh\nno".into());
        let root = node(
            "root",
            vec![
                node("pools", vec![node("1", vec![]), sick]),
                node("writer", vec![]),
            ],
        );
        assert_eq!(
            drawn(
                &root,
                Args {
                    depth: None,
                    all: false
                }
            ),
            "root       running\n\
             ├── pools  running\n\
             │   ├── 1  running\n\
             │   └── 2  backing_off  3 restarts, again in 1.5 s, last exit: panicked: oh no\n\
             └── writer  running\n"
                .replace("root       running", "root        running")
                .replace("├── pools  running", "├── pools   running")
                .replace("│   ├── 1  running", "│   ├── 1   running")
                .replace("│   └── 2  backing", "│   └── 2   backing")
        );
        assert_eq!(
            drawn(
                &root,
                Args {
                    depth: Some(0),
                    all: false
                }
            ),
            "root  running\n"
        );
    }

    #[test]
    fn of_many_siblings_the_notable_ones_are_shown() {
        let mut crowd: Vec<TreeNode> = (0..1000).map(|n| node(&format!("c{n}"), vec![])).collect();
        crowd[777].restarts = 1;
        let root = node("root", crowd);
        let some = drawn(
            &root,
            Args {
                depth: None,
                all: false,
            },
        );
        assert!(
            some.contains("c777") && some.contains("… 988 more"),
            "{some}"
        );
        assert_eq!(
            drawn(
                &root,
                Args {
                    depth: None,
                    all: true
                }
            )
            .lines()
            .count(),
            1001
        );
    }
}
