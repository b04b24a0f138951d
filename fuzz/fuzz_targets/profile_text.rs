//! Any text as a profile: it is resolved or refused with a message that names the file, it never
//! opens what stays closed, and every rule remembers a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nono_fuzz::World;
use nono_profiles::{ProfileError, resolve};
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, Lookup};
use std::cell::RefCell;

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

fuzz_target!(|text: &[u8]| {
    WORLD.with_borrow_mut(|world| {
        let profile = world.profile(text);
        let context = world.context();
        match resolve(&profile, &context) {
            Ok(resolved) => {
                let own = context.own_folder().expect("there is a home");
                let own = AbsPath::new(own.join("profiles/x.json")).expect("absolute");
                for access in [Access::READ, Access::WRITE, Access::EXECUTE] {
                    assert_ne!(resolved.policy.fs.lookup(&own, access), Lookup::Allowed);
                }
                for rule in &resolved.policy.fs.rules {
                    let real = std::fs::canonicalize(rule.path.as_path());
                    // Processes come and go while this looks.
                    if !rule.path.as_path().starts_with("/proc") {
                        assert_eq!(real.expect("it exists"), rule.path.as_path());
                    }
                    assert!(rule.source.line.is_some(), "{:?}", rule.source);
                }
            }
            Err(error @ (ProfileError::Syntax { .. } | ProfileError::Field { .. })) => {
                assert!(error.to_string().contains(':'), "{error}");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
});
