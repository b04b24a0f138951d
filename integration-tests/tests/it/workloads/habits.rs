//! What programs do by habit and do well without: no cause of anything, and told where it misleads.

use super::{has, passes};
use nono_integration_tests::as_each_user;

const LEAK: &str = "#include <stdlib.h>\nint main(void) { return malloc(100) == NULL; }\n";

#[test]
fn leaks_that_are_not_looked_for_are_told() {
    as_each_user(|site| {
        let script = "gcc -fsanitize=address -O0 -o leak leak.c && ./leak";
        site.file("ws/leak.c", LEAK);
        if !has(&site, &["gcc"])
            || !super::succeeds_outside(&site, "gcc -fsanitize=address -x c -E - < /dev/null")
        {
            return;
        }
        let server = site.serve();
        let answer = passes(&server, script);
        assert!(answer.text.contains("leaks are not looked for here"), "{}", answer.text);
        let tried = server.shell("LSAN_OPTIONS=detect_leaks=1 ./leak");
        assert_ne!(tried.exit_code(), Some(0), "{}", tried.text);
        assert!(!tried.text.contains("are not looked for here"), "{}", tried.text);
        assert!(tried.text.contains("looking for leaks takes tracing"), "{}", tried.text);
        assert!(!passes(&server, "gcc -o leak leak.c && ./leak").text.contains("leaks"));
    });
}
