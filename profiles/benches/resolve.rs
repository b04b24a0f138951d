//! How long it takes to resolve a built-in profile with warm caches, on this machine's own home.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark may fail loudly")]

use criterion::{Criterion, criterion_group, criterion_main};
use nono_profiles::{Context, MissingFolders, ProfileRef, builtin_names, resolve};
use nono_sandbox::AbsPath;

fn resolution(c: &mut Criterion) {
    let root = tempfile::tempdir().expect("a folder");
    let root = std::fs::canonicalize(root.path()).expect("its path");
    let folder = |name: &str| {
        let path = root.join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        AbsPath::new(path).expect("an absolute path")
    };
    let environment = std::env::vars_os().collect();
    let uid = u32::MAX;
    let mut context = Context::new(vec![folder("work")], folder("tmp"), environment, uid);
    context.missing_folders = MissingFolders::Leave;
    for name in builtin_names() {
        let profile = ProfileRef::from(name);
        c.bench_function(name, |b| b.iter(|| resolve(&profile, &context).expect("a policy")));
    }
}

criterion_group!(benches, resolution);
criterion_main!(benches);
