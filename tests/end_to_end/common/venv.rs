//! Python packages for tests, in virtual environments below target/, with pinned versions.

use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The Python that has the packages of a file of requirements; made when it is not there yet or the versions have changed.
/// `name` is its folder, `more` further arguments of pip.
pub fn python(name: &str, requirements: &str, more: &[&str]) -> PathBuf {
    let wanted = fs::read_to_string(requirements).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(target).unwrap();
    // Tests run side by side, also as processes: the first one installs.
    let lock = File::create(target.join(format!("{name}.lock"))).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let home = target.join(name);
    let (python, installed) = (home.join("bin/python"), home.join("installed.txt"));
    if fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
        return python;
    }
    install(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&home),
    );
    let pip = "-m pip install --quiet --disable-pip-version-check";
    install(
        Command::new(&python)
            .args(pip.split(' '))
            .args(more)
            .args(["-r", requirements]),
    );
    fs::write(installed, wanted).unwrap();
    python
}

fn install(command: &mut Command) {
    let tried = format!("{command:?}");
    let why = match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => return,
        Ok(output) => {
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        }
        Err(error) => error.to_string(),
    };
    panic!(
        "cannot install the Python packages of this test with {tried}: {why}\n\
         install Python 3.10 or newer with venv (on Debian: apt-get install python3 python3-venv), and let pip reach \
         its package index"
    );
}
