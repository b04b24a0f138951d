//! What the narrower built-in profiles are for, done in them.

use super::{has, passes, passes_unrefused, with_git_identity};
use nono_integration_tests::{Server, Site, as_each_user};

fn serve(site: &Site, profile: &str) -> Server {
    let workspace = site.text("ws");
    let words = ["--stdio", "--workspace", &workspace, "--profile", profile];
    Server::start_command(site, site.nono_mcp(&words))
}

/// A repository with two commits, made under the default profile.
fn repository(site: &Site) {
    with_git_identity(site);
    passes(
        &site.serve(),
        "git init -q repo; cd repo; printf 'one\\ntwo\\n' > text; git add text
         git commit -qm first; printf 'one\\n2\\n' > text; git commit -qam second",
    );
}

#[test]
fn offline_builds_commits_and_computes() {
    as_each_user(|site| {
        if !has(&site, &["git", "make"]) {
            return;
        }
        with_git_identity(&site);
        let answer = passes(
            &serve(&site, "offline"),
            "git init -q repo; cd repo
             printf 'out: in\\n\\ttr a-z A-Z < in > $@\\n' > Makefile; echo words > in
             make -s; cat out; git add -A; git commit -qm built; git log --format=%s
             (cat in & wait) | sort | awk '{print length($0)}'",
        );
        assert_eq!(answer.stdout(), "WORDS\nbuilt\n5\n", "{}", answer.text);
    });
}

#[test]
fn readonly_reviews_a_repository() {
    as_each_user(|site| {
        if !has(&site, &["git"]) {
            return;
        }
        repository(&site);
        let answer = passes(
            &serve(&site, "readonly"),
            "cd repo; git log --format=%s; git diff --stat HEAD~1 | tail -1; git blame -s text | wc -l
             git grep -n 2; git show HEAD:text | head -1; find . -name text
             git archive HEAD | tar -x -C $TMPDIR; sort $TMPDIR/text > $TMPDIR/sorted
             head -1 $TMPDIR/sorted",
        );
        let expected = "second\nfirst\n 1 file changed, 1 insertion(+), 1 deletion(-)\n2\n\
                        text:2:2\none\n./text\n2\n";
        assert_eq!(answer.stdout(), expected, "{}", answer.text);
    });
}

#[test]
fn strict_works_on_files_with_the_systems_tools() {
    as_each_user(|site| {
        site.file("ws/data", "b 2\na 1\n");
        let server = serve(&site, "strict");
        let answer = passes_unrefused(
            &server,
            "sort data | awk '{s += $2; print $1} END {print s}'; sed 's/b/c/' data > new
             (diff data new || true) | wc -l; mkdir -p d; mv new d; tar -cf all.tar d data
             mkdir $TMPDIR/x; tar -xf all.tar -C $TMPDIR/x; cmp d/new $TMPDIR/x/d/new; gzip -k data
             gunzip -c data.gz | cmp - data; grep -c . data; find . -name 'n*' | xargs basename -a",
        );
        assert_eq!(answer.stdout(), "a\nb\n3\n4\n2\nnew\n", "{}", answer.text);
        if has(&site, &["/usr/bin/cc"]) {
            let source = "#include <stdio.h>\nint main(void) { return puts(\"built\") < 0; }\n";
            site.file("ws/hello.c", source);
            assert_eq!(
                passes(&server, "/usr/bin/cc hello.c -o hello; ./hello").stdout(),
                "built\n"
            );
        }
    });
}
