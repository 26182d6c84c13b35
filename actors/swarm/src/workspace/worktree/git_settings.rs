//! The settings and variables of every call of git.

/// Settings of every call. Hooks, watchers and transports of the repository are code that must not run here; submodules
/// are not touched.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("protocol.allow", "never"),
    ("core.sshCommand", "false"),
    ("credential.helper", ""),
    ("log.showSignature", "false"),
    // A running git holds these locks only briefly.
    ("core.filesRefLockTimeout", "3000"),
    ("core.packedRefsTimeout", "5000"),
    // The output is text: names that are not UTF-8 are in quotation marks.
    ("core.quotePath", "true"),
    // Output, and patches for `git apply`, have one form whatever a person or an agent has configured.
    ("color.ui", "false"),
    ("color.diff", "false"),
    ("diff.noprefix", "false"),
    ("diff.mnemonicPrefix", "false"),
    ("diff.orderFile", "/dev/null"),
    ("diff.submodule", "short"),
    ("core.editor", "true"),
    ("commit.gpgSign", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("status.submoduleSummary", "false"),
    ("advice.addEmbeddedRepo", "false"),
];

/// Author of commits of agents' work.
const AUTHOR: (&str, &str) = ("Kirosu", "kirosu@localhost");

/// Variables that make a call independent of the environment of this process, with the settings of the call.
pub(super) fn environment(settings: &[(String, String)]) -> Vec<(String, String)> {
    let (name, mail) = AUTHOR;
    let fixed = [
        ("LC_ALL", "C"),
        ("GIT_TERMINAL_PROMPT", "0"),
        // An agent can replace a commit by another one for all worktrees.
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        // A repository with a promised object that is missing names the program that fetches it.
        ("GIT_NO_LAZY_FETCH", "1"),
        // No transport at all; a setting of one transport would override that of all.
        ("GIT_ALLOW_PROTOCOL", ""),
        ("GIT_AUTHOR_NAME", name),
        ("GIT_AUTHOR_EMAIL", mail),
        ("GIT_COMMITTER_NAME", name),
        ("GIT_COMMITTER_EMAIL", mail),
    ];
    let mut variables: Vec<(String, String)> = fixed
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    let always = SETTINGS
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut count = 0;
    for (key, value) in always.chain(settings.iter().cloned()) {
        variables.push((format!("GIT_CONFIG_KEY_{count}"), key));
        variables.push((format!("GIT_CONFIG_VALUE_{count}"), value));
        count += 1;
    }
    variables.push(("GIT_CONFIG_COUNT".to_owned(), count.to_string()));
    variables
}
