//! What entries can depend on: the system a profile is used on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The machine, as far as conditions of entries (`when`) ask about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The distribution and those it is made from, as `os-release` names them: `ubuntu`, `debian`.
    pub distributions: Vec<String>,
    /// The distribution's version, such as `24.04`; empty if it has none.
    pub version: String,
    /// Landlock ABI of the kernel; 0 if there is no Landlock.
    pub landlock_abi: u32,
    /// Folders in which programs are looked for.
    pub path: Vec<PathBuf>,
}

impl Machine {
    /// This machine. Asks `os-release` and `PATH`; a question without an answer counts as "no".
    #[must_use]
    pub fn probe(landlock_abi: u32) -> Self {
        let text = ["/etc/os-release", "/usr/lib/os-release"]
            .iter()
            .find_map(|path| fs::read_to_string(path).ok())
            .unwrap_or_default();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
        Self { path, ..Self::of(&text, landlock_abi) }
    }

    /// Whether there is a program of this name.
    pub(crate) fn has_program(&self, name: &str) -> bool {
        let files = self.path.iter().filter_map(|folder| fs::metadata(folder.join(name)).ok());
        files.into_iter().any(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    }

    fn of(os_release: &str, landlock_abi: u32) -> Self {
        let value = |key: &str| {
            let line = os_release.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|rest| rest.strip_prefix('='))
                .map(|value| value.trim_matches(['"', '\'']).to_owned())
                .unwrap_or_default()
        };
        let names = format!("{} {}", value("ID"), value("ID_LIKE"));
        Self {
            distributions: names.split_whitespace().map(str::to_lowercase).collect(),
            version: value("VERSION_ID"),
            landlock_abi,
            path: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read() {
        let text = "NAME=\"X\"\nVERSION_ID=\"24.04\"\nID=ubuntu\nID_LIKE=debian\n";
        let machine = Machine::of(text, 7);
        assert_eq!(machine.distributions, ["ubuntu", "debian"]);
        assert_eq!((machine.version.as_str(), machine.landlock_abi), ("24.04", 7));
        assert_eq!(Machine::of("", 0), Machine::default());
    }
}
