//! The example file and docs/configuration.md contain every key, and the example states the true defaults.

use super::{Case, crate_folder};
use crate::schema::{Allowed, KeyDefault, Section, Shape};
use crate::settings::SECTIONS;
use crate::{Purpose, Settings};

fn example() -> String {
    std::fs::read_to_string(crate_folder().join("kirosu.example.toml")).unwrap()
}

/// The example with the marker removed from its keys.
fn uncommented(text: &str, marker: &str) -> String {
    let is_key = |line: &str| {
        line.starts_with(|first: char| first.is_ascii_lowercase()) && line.contains(" = ")
    };
    let lines = text.lines().map(|line| match line.strip_prefix(marker) {
        Some(rest) if is_key(rest) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Lines between the section's heading and the next.
fn part<'t>(text: &'t str, section: &Section) -> Vec<&'t str> {
    let heading = match section.shape {
        Shape::Top => None,
        Shape::One => Some(format!("[{}]", section.name)),
        Shape::Array => Some(format!("[[{}]]", section.name)),
        Shape::Named => Some(format!("[{}.example]", section.name)),
    };
    let lines = text
        .lines()
        .skip_while(|line| heading.as_ref().is_some_and(|heading| line != heading));
    let skipped = usize::from(heading.is_some());
    lines
        .skip(skipped)
        .take_while(|line| !line.starts_with('['))
        .collect()
}

#[test]
fn the_example_has_every_key_in_the_form_of_its_default() {
    let text = example();
    for section in SECTIONS {
        let lines = part(&text, section);
        for key in section.keys {
            let forms = match (key.default, section.name, key.name) {
                (_, "providers", "command") => vec![format!("{} = ", key.name)],
                (KeyDefault::Is(_), ..) => vec![format!("#{} = ", key.name)],
                (KeyDefault::Required, ..) => vec![format!("{} = ", key.name)],
                _ => vec![format!("#- {} = ", key.name)],
            };
            let there = |form: &String| lines.iter().any(|line| line.starts_with(form.as_str()));
            assert!(
                forms.iter().all(there),
                "[{}] lacks {forms:?}",
                section.name
            );
        }
    }
}

#[test]
fn the_defaults_of_the_example_are_the_defaults() {
    let plain = Case::new(&example()).settings();
    let case = Case::new(&uncommented(&example(), "#"));
    let loaded = case.load();
    assert_eq!(loaded.settings, plain);
    for section in SECTIONS {
        for key in section
            .keys
            .iter()
            .filter(|key| matches!(key.default, KeyDefault::Is(_)))
        {
            let path = match section.shape {
                Shape::Top => key.name.to_owned(),
                Shape::One => format!("{}.{}", section.name, key.name),
                Shape::Array | Shape::Named => format!("{}.example.{}", section.name, key.name),
            };
            let origin = loaded.origins.get(&path).unwrap();
            assert_eq!(origin.layer(), "file", "{path} was not set");
        }
    }
}

#[test]
fn all_optional_keys_of_the_example_can_be_set() {
    let text = uncommented(&example(), "#- ");
    let mut case = Case::new(&text);
    // As an agent: the key file of the example is not there.
    case.options.purpose = Purpose::Agent;
    let faults = case.faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("keep one of them"), "{faults:?}");
    let one_key: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("key = "))
        .collect();
    std::fs::write(case.path("kirosu.toml"), one_key.join("\n")).unwrap();
    let settings = Settings::load(case.options.clone()).unwrap().settings;
    assert_eq!(settings.pools[0].env["RUST_LOG"], "warn");
}

#[test]
fn every_key_of_the_schema_is_in_the_settings() {
    let file = "[[pool]]\nname = \"a\"\n[[notify]]\nkind = \"desktop\"";
    let json = serde_json::to_value(Case::new(file).settings()).unwrap();
    for section in SECTIONS {
        let values = match section.shape {
            Shape::Top => &json,
            Shape::One => &json[section.name],
            Shape::Array => &json[section.name][0],
            Shape::Named => &json[section.name]["echo"],
        };
        let names: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
        for name in &names {
            assert!(values.get(name).is_some(), "{}.{name}", section.name);
        }
        let fields = values.as_object().unwrap().len();
        assert!(
            section.shape == Shape::Top || fields == names.len(),
            "[{}]",
            section.name
        );
        let secret = section
            .keys
            .iter()
            .filter(|key| matches!(key.allowed, Allowed::Secret));
        assert_eq!(secret.count(), usize::from(section.name == "hub"));
    }
}

#[test]
fn the_configuration_page_has_a_row_for_every_key() {
    let page = crate_folder().join("../docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("\n## Keys\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    for section in SECTIONS {
        let heading = match section.shape {
            Shape::Top => "`data_dir`".to_owned(),
            Shape::One => format!("**`[{}]`**", section.name),
            Shape::Array => format!("**`[[{}]]`**", section.name),
            Shape::Named => format!("**`[{}.NAME]`**", section.name),
        };
        let (_, rows) = table
            .split_once(&heading)
            .unwrap_or_else(|| panic!("{heading} is missing"));
        let own = rows.split("\n| **`[").next().unwrap_or(rows);
        let keys = section.keys.iter().filter(|_| section.shape != Shape::Top);
        for key in keys {
            assert!(
                own.contains(&format!("`{}`", key.name)),
                "{heading} lacks {}",
                key.name
            );
        }
    }
}

/// The rules of the example file and of docs/approvals.md.
#[test]
fn the_documented_rules_list_the_arguments_that_they_allow() {
    let page = include_str!("../../../docs/approvals.md");
    let example = include_str!("../../kirosu.example.toml");
    let mut found = 0;
    for line in page.lines().chain(example.lines()) {
        let line = line.trim_start_matches(['#', ' ']);
        if !line.starts_with("args = {") || line.contains("sudo") {
            continue;
        }
        let rule = format!("[[approval.rule]]\nname = \"r\"\naction = \"allow\"\n{line}\n");
        assert_eq!(Case::new(&rule).load().warnings, [""; 0], "{line}");
        found += 1;
    }
    assert_eq!(found, 2);
    let open = "[[approval.rule]]\nname = \"r\"\naction = \"allow\"\nargs = { \"/command\" = \"git log .*\" }\n";
    let warnings = Case::new(open).load().warnings;
    assert!(
        warnings[0].contains("approval.rule[0].args"),
        "{warnings:?}"
    );
    assert!(warnings[0].contains("--output=FILE"), "{warnings:?}");
}
