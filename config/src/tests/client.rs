//! A client needs the hub's address and key, and no fault elsewhere keeps it from them.

use super::Case;
use crate::{HubPort, Purpose};

fn client(file: &str) -> Case {
    let mut case = Case::new(file);
    case.options.purpose = Purpose::Client;
    case
}

#[test]
fn faults_outside_of_the_hub_are_one_warning() {
    for file in [
        "[hub]\nport = 7\n[[pool]]\nsize = 3\nprovider = 5",
        "[hub]\nport = 7\n[[pool]]\nname = \"a\"\nqueues = [\"x",
        "[[pool]]\nname = \"a\"\nsize = \n[hub]\nport = 7\n[[pool]]\nname =",
        "[[pool]\nname = \"a\"\n[hub]\nport = 7",
        "[hub]\nport = 7\n[[pool]]\nname = \"a\"\n[[pool]]\nname = \"a\"",
        "[hub]\nport = 7\n[providers.x]\ncommand = 7\nzzz = 1",
        "[hub]\nport = 7\n[log]\nlevel = \"inof\"\nfile = \"$HOME/x\"",
        "zzz = 1\n[hub]\nport = 7",
    ] {
        let loaded = client(file).load();
        assert_eq!(loaded.settings.hub.port, HubPort::Number(7), "{file}");
        let [warning] = &loaded.warnings[..] else {
            panic!("{file}: {:?}", loaded.warnings);
        };
        assert!(warning.contains("kirosu config check"), "{warning}");
        let mut whole = client(file);
        for purpose in [Purpose::Serve, Purpose::Agent] {
            whole.options.purpose = purpose;
            assert!(!whole.faults().is_empty(), "{file}");
        }
    }
}

#[test]
fn faults_that_would_send_a_client_to_another_hub_stop_it() {
    for (file, part) in [
        ("[hub]\nprot = 7", "did you mean port?"),
        ("[hub]\nport = x", "kirosu.toml:2"),
        ("[hubb]\nport = 7", "did you mean hub?"),
        ("[[pool]]\nname =\n[hub]\nport = 7\nhost", "kirosu.toml:5"),
        ("hub.port = 7\nhub.", "kirosu.toml:2"),
    ] {
        let faults = client(file).faults();
        assert!(faults[0].contains(part), "{file}: {faults:?}");
    }
    // A flag of this very command counts, whichever section it names.
    let case = client("").flag("lease.defualt", "5m");
    assert!(case.faults()[0].contains("did you mean default?"));
}

#[test]
fn a_client_ignores_variables_of_other_sections() {
    let case = client("[hub]\nport = 7").env("KIROSU_POOL__CODERS__SIZE", "4");
    assert_eq!(case.settings().hub.port, HubPort::Number(7));
    let case = client("").env("KIROSU_HUB__PORT", "many");
    assert!(case.faults()[0].contains("hub.port"));
}
