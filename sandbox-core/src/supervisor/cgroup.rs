//! Control groups of one run: they count memory and tasks where a controller does, and let the
//! server find everything of a run whose supervisor was killed.
//!
//! A supervisor enters them as soon as it is started, before there is anything to run, and the
//! command is born in them. To be moved later costs a process 15 ms, because the kernel waits until
//! nobody looks at the old group any more. So the supervisor is counted too, and the kernel's limits
//! leave room for it; the exact ones are kept by the watch. The server removes the groups: at the
//! top of a hierarchy only a capability lets anybody do that, and a supervisor has none.

use crate::groups::{self, GroupsAt, MEMORY_EVENTS, MEMORY_KILLS};
use crate::policy::{Exceeded, Limits, Resource};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the supervisor may take of a group's memory, in bytes.
const OWN_MEMORY: u64 = 32 << 20;
/// Its threads at the least that there is room for. It has one for each call that blocks, and every
/// task of the run may be in one, so where those are more there is room for as many again: who is in
/// the group is the kernel's to count, and how many of them are the run's is looked at besides.
const OWN_TASKS: u64 = 1024;

/// A file with a limit, and the one that says how often it was hit.
#[derive(Debug)]
struct Controller {
    resource: Resource,
    knob: File,
    /// Has a line `key N`.
    events: File,
    key: &'static str,
    /// What was set, once it is.
    limit: Option<u64>,
}

/// The groups of one run.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Controller>);

impl Groups {
    /// Makes what can be made and enters it. Where that is not possible, the watch takes its place.
    pub(super) fn enter(at: &GroupsAt) -> Self {
        let name = groups::name(at.server, std::process::id());
        let mut entered = Self::default();
        for folder in at.parents.all().map(|parent| parent.join(&name)) {
            let made = fs::create_dir(&folder);
            // What was made and not entered is removed with the rest.
            let inside =
                made.and_then(|()| writable(&folder.join("cgroup.procs"))?.write_all(b"0"));
            if inside.is_ok() {
                entered.0.extend(controllers(&folder));
            }
        }
        entered
    }

    /// Sets the limits of a run. Those the kernel does not keep are the watch's.
    pub(super) fn set(&mut self, limits: &Limits) {
        for controller in &mut self.0 {
            let (limit, room) = match controller.resource {
                Resource::Memory => (limits.memory_bytes, OWN_MEMORY),
                Resource::Tasks => {
                    let limit = limits.tasks.map(u64::from);
                    (limit, limit.map_or(OWN_TASKS, |limit| limit.max(OWN_TASKS)))
                }
                Resource::CpuTime | Resource::FileSize | Resource::Output => (None, 0),
            };
            let Some(limit) = limit else { continue };
            let text = limit.saturating_add(room).to_string();
            if controller.knob.write_all(text.as_bytes()).is_ok() {
                controller.limit = Some(limit);
            }
        }
    }

    /// Whether the kernel keeps a limit exactly enough for nobody else to look.
    pub(super) fn counts(&self, resource: Resource) -> bool {
        resource == Resource::Memory
            && self.0.iter().any(|c| c.resource == resource && c.limit.is_some())
    }

    /// The first limit that has been hit.
    pub(super) fn exceeded(&self) -> Option<Exceeded> {
        self.0.iter().find_map(|controller| {
            let limit = controller.limit?;
            (controller.hits() > 0).then_some(Exceeded { resource: controller.resource, limit })
        })
    }
}

impl Controller {
    fn open(
        folder: &Path,
        resource: Resource,
        (knob, events, key): (&str, &str, &'static str),
    ) -> io::Result<Self> {
        let knob = writable(&folder.join(knob))?;
        let events = File::open(folder.join(events))?;
        Ok(Self { resource, knob, events, key, limit: None })
    }

    fn hits(&self) -> u64 {
        let mut text = [0u8; 1024];
        let length = self.events.read_at(&mut text, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned();
        groups::count(&text, self.key)
    }
}

/// What a group has, of either version: version 2 only if whoever delegated its parent enabled it.
fn controllers(folder: &Path) -> Vec<Controller> {
    let [second, first] = MEMORY_EVENTS;
    let files = [
        (Resource::Memory, ("memory.max", second, MEMORY_KILLS)),
        (Resource::Memory, ("memory.limit_in_bytes", first, MEMORY_KILLS)),
        (Resource::Tasks, ("pids.max", "pids.events", "max")),
    ];
    files.into_iter().filter_map(|(r, names)| Controller::open(folder, r, names).ok()).collect()
}

fn writable(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}
