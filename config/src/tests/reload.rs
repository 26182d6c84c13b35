use super::Case;
use crate::{SettingsDiff, diff};

const OLD: &str = r#"
    [hub]
    key = "one"
    [providers.mine]
    kind = "command"
    command = ["a"]
    [[pool]]
    name = "sized"
    [[pool]]
    name = "mine"
    provider = "mine"
    [[pool]]
    name = "gone"
    [[notify]]
    kind = "desktop"
    [[notify]]
    name = "same"
    kind = "desktop"
"#;

const NEW: &str = r#"
    [hub]
    key = "two"
    port = 1
    [lease]
    default = "1m"
    [limits]
    batch = 5
    [providers.mine]
    kind = "command"
    command = ["b"]
    [[pool]]
    name = "fresh"
    lease = "5m"
    [[pool]]
    name = "mine"
    provider = "mine"
    lease = "5m"
    [[pool]]
    name = "sized"
    size = 7
    lease = "5m"
    [[notify]]
    name = "same"
    kind = "desktop"
    [[notify]]
    name = "new"
    kind = "command"
    command = ["true"]
"#;

#[test]
fn the_difference_is_sorted_by_what_has_to_be_done() {
    let (old, new) = (Case::new(OLD).settings(), Case::new(NEW).settings());
    assert!(diff(&old, &old).is_empty());
    let SettingsDiff {
        pools_added,
        pools_removed,
        pools_changed,
        live,
        needs_restart,
    } = diff(&old, &new);
    assert_eq!(
        pools_added
            .iter()
            .map(|pool| pool.name.as_str())
            .collect::<Vec<_>>(),
        ["fresh"]
    );
    assert_eq!(pools_removed, ["gone"]);
    let targets = ["notify.desktop", "notify.new"];
    assert_eq!(live[..2], ["lease.default", "limits.batch"]);
    assert_eq!(live[2..], targets);
    assert_eq!(needs_restart, ["hub.port", "hub.key"]);
    let [mine, sized] = &pools_changed[..] else {
        panic!("{pools_changed:?}");
    };
    assert_eq!(
        (mine.pool.name.as_str(), mine.resized_only),
        ("mine", false)
    );
    assert_eq!(mine.keys, ["providers.mine"]);
    assert_eq!((sized.pool.size, sized.resized_only), (7, true));
}
