//! The index of docs/protocol.md has exactly the rows of the table of verbs.

use kirosu_protocol::Method;

const PAGE: &str = include_str!("../../../docs/protocol.md");

macro_rules! purposes {
    ($(#[doc = $purpose:literal] $module:ident: $variant:ident($params:ident), $effect:ident, $right:ident;)*) => {
        [$((Method::$variant, $purpose)),*]
    };
}

#[test]
fn the_index_of_the_document_is_the_table() {
    let row = |(method, purpose): (Method, &str)| {
        let (name, effect, right) = (method.name(), method.effect(), method.right());
        let words = format!("{effect:?} | {right:?}").to_lowercase();
        format!("| [{name}](#{name}) | {words} |{purpose} |")
    };
    let expected = kirosu_protocol::for_each_verb!(purposes).map(row);
    let section = PAGE
        .split("\n## ")
        .find(|section| section.starts_with("Methods\n"));
    let rows = section.unwrap_or_default().lines();
    let found: Vec<&str> = rows.filter(|line| line.starts_with("| [")).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_name_finds_its_method() {
    for method in Method::ALL {
        assert_eq!(Method::from_name(method.name()), Some(method));
    }
    assert_eq!(Method::from_name("frobnicate"), None);
}
