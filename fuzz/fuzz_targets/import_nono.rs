//! Any text as a profile of nono: what comes out is a profile that can be read, and a network that
//! was restricted never comes out open.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nono_fuzz::World;
use nono_profiles::{ProfileError, import_nono, resolve};
use std::cell::RefCell;

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

fuzz_target!(|text: &str| {
    let Ok(imported) = import_nono(text, "theirs.json") else { return };
    let written = imported.profile.to_string();
    WORLD.with_borrow_mut(|world| {
        let profile = world.profile(written.as_bytes());
        // Its grants may open what stays closed; its shape is always right.
        if let Err(error @ (ProfileError::Syntax { .. } | ProfileError::Field { .. })) =
            resolve(&profile, &world.context())
        {
            let message = error.to_string();
            for wrong in ["unknown field", "unknown value", "expected ", "is missing"] {
                assert!(!message.contains(wrong), "{message}\n{written}");
            }
        }
    });
});
