//! Tokens of an authorization server: whose they are, which of them are nobody's, and where clients
//! learn whom to ask for one.

use nono_integration_tests::http::Request;
use nono_integration_tests::issuer::{
    AUTHORITY, KeyServer, Signer, in_seconds, set, sha256, unsigned,
};
use nono_integration_tests::{HttpServer, Site, User, as_each_user, wait};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const ISSUER: &str = "https://issuer.example";
const RESOURCE: &str = "https://mcp.example.com/mcp";
const METADATA: &str = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
/// The token that the principal `static` was given without an authorization server.
const GIVEN: &str = "token-of-the-operator-0123456789";

/// Where the keys are: the field and its value.
struct Keys<'a>(&'a str, &'a str);

/// The principals ann, bob and ci by their claims, and one by a token that was given.
fn file(keys: &Keys<'_>) -> Value {
    let mut oauth = json!({"resource": RESOURCE, "issuer": ISSUER, "scopes": ["nono"]});
    oauth[keys.0] = json!(keys.1);
    json!({
        "oauth": oauth,
        "principals": [
            {"name": "ann", "oauth": [{"sub": "ann@example.com"}], "workspaces": ["ann"]},
            {"name": "bob", "oauth": [{"sub": "bob@example.com", "client_id": "ide"}],
             "workspaces": ["bob"]},
            {"name": "ci", "oauth": [{"client_id": "robot", "scope": "nono:ci"}],
             "workspaces": ["ci"]},
            {"name": "static", "token_sha256": sha256(GIVEN), "workspaces": ["static"]},
        ],
    })
}

fn serve(site: &Site, keys: &Keys<'_>) -> HttpServer {
    ["ann", "bob", "ci", "static"].iter().for_each(|name| drop(site.folder(name)));
    let file = site.file("principals.json", &file(keys).to_string());
    let authority = site.file("outside/authority.pem", AUTHORITY);
    let mut command = site.nono_mcp(&["--http", "0", "--max-runs", "8", "--principals"]);
    command.arg(file).env("SSL_CERT_FILE", authority);
    HttpServer::start_command(site, command, Some(GIVEN))
}

/// Puts these keys where the server looks for them, all at once.
fn publish(site: &Site, signers: &[&Signer]) {
    let new = site.file("jwks.new", &set(signers).to_string());
    std::fs::set_permissions(&new, PermissionsExt::from_mode(0o644)).expect("chmod");
    std::fs::rename(new, site.path("jwks.json")).expect("rename");
}

fn of_file(site: &Site, signers: &[&Signer]) -> HttpServer {
    publish(site, signers);
    serve(site, &Keys("jwks_file", "jwks.json"))
}

/// What a token of Ann's says, with changes.
fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": "ann@example.com", "client_id": "ide",
        "scope": "openid nono", "exp": in_seconds(600), "nbf": in_seconds(-10),
    });
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(claims.as_object_mut().expect("an object").remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn listing() -> Request {
    Request::modern("tools/list", json!({}))
}

fn status(server: &HttpServer, token: &str) -> u16 {
    server.send(&listing().bearer(token)).status
}

#[test]
fn clients_learn_whom_to_ask_without_a_token() {
    let site = Site::new(User::Same);
    let key = Signer::es256("k1");
    let server = of_file(&site, &[&key]);
    for path in ["", "/mcp"] {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        let reply = server.send(&Request::get(&path));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        let document: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!(document["resource"], RESOURCE);
        assert_eq!(document["authorization_servers"], json!([ISSUER]));
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
        assert_eq!(document["scopes_supported"], json!(["nono", "nono:ci"]));
    }
    let other = server.send(&Request::get("/.well-known/oauth-authorization-server"));
    assert_eq!(other.status, 404, "it is none");
    let without = server.send(&listing());
    assert_eq!(without.status, 401);
    let challenge = without.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    assert!(challenge.contains(&format!("resource_metadata=\"{METADATA}\"")), "{challenge}");
    assert!(challenge.contains("scope=\"nono\""), "{challenge}");
    assert!(!challenge.contains("error="), "nothing was wrong: {challenge}");
    // A server without OAuth has no such document.
    let plain = HttpServer::start(&site);
    let none = plain.send(&Request::get("/.well-known/oauth-protected-resource"));
    assert_eq!(none.status, 404);
}

#[test]
fn a_genuine_token_stands_for_its_subject() {
    as_each_user(|site| {
        let keys = [Signer::es256("k1"), Signer::rs256("k2"), Signer::ed25519("k3")];
        let server = of_file(&site, &[&keys[0], &keys[1], &keys[2]]);
        let place = |token: &str| server.call_as(token, "shell", json!({"command": "pwd"}));
        for key in &keys {
            let place = place(&key.token(&claims(json!({}))));
            assert!(place.stdout().ends_with("/ann\n"), "{}", place.text);
        }
        let key = &keys[0];
        for (changes, folder) in [
            (json!({"sub": "bob@example.com"}), "bob"),
            (json!({"aud": ["https://other.example", RESOURCE]}), "ann"),
            (json!({"scope": null, "scp": ["nono"]}), "ann"),
            (json!({"exp": in_seconds(-5)}), "ann"),
            (json!({"nbf": in_seconds(5)}), "ann"),
            (json!({"nbf": null}), "ann"),
            (json!({"sub": "robot", "client_id": "robot", "scope": "nono nono:ci"}), "ci"),
        ] {
            let place = place(&key.token(&claims(changes.clone())));
            assert!(place.stdout().ends_with(&format!("/{folder}\n")), "{changes}: {}", place.text);
        }
        // Tokens that were given go on.
        assert!(place(GIVEN).stdout().ends_with("/static\n"));
    });
}

/// Tokens that prove nothing, and what is wrong with each; `fine` is one with nothing wrong.
fn wrong_tokens(key: &Signer, rsa: &Signer, fine: &str) -> Vec<(&'static str, String)> {
    let with = |changes: Value| key.token(&claims(changes));
    let mut wrong = vec![
        ("another audience", with(json!({"aud": "https://other.example/mcp"}))),
        ("a part of the audience", with(json!({"aud": "https://mcp.example.com"}))),
        ("no audience", with(json!({"aud": null}))),
        ("an empty audience", with(json!({"aud": []}))),
        ("another issuer", with(json!({"iss": "https://issuer.example/"}))),
        ("no issuer", with(json!({"iss": null}))),
        ("a list of issuers", with(json!({"iss": [ISSUER]}))),
        ("expired", with(json!({"exp": in_seconds(-120)}))),
        ("never expires", with(json!({"exp": null}))),
        ("expires at no number", with(json!({"exp": "tomorrow"}))),
        ("not yet valid", with(json!({"nbf": in_seconds(120)}))),
        ("a number for a subject", with(json!({"sub": 7}))),
        ("unsigned", unsigned("none", &claims(json!({})))),
        ("unsigned in capitals", unsigned("NONE", &claims(json!({})))),
        ("signed by nobody", unsigned("ES256", &claims(json!({})))),
        ("another's key", Signer::es256("k1").token(&claims(json!({})))),
        ("an unknown key", Signer::es256("k9").token(&claims(json!({})))),
        (
            "a key of its own",
            Signer::es256("k1").token_with(
                &json!({"alg": "ES256", "kid": "k1", "jwk": Signer::es256("k1").public(),
                        "jku": "https://evil.example/keys"}),
                &claims(json!({})),
            ),
        ),
        (
            "another algorithm",
            rsa.token_with(&json!({"alg": "ES256", "kid": "k2"}), &claims(json!({}))),
        ),
        (
            "another key's",
            rsa.token_with(&json!({"alg": "RS256", "kid": "k1"}), &claims(json!({}))),
        ),
        ("which key?", key.token_with(&json!({"alg": "HS256", "kid": "k1"}), &claims(json!({})))),
        (
            "something critical",
            key.token_with(
                &json!({"alg": "ES256", "kid": "k1", "crit": ["x"]}),
                &claims(json!({})),
            ),
        ),
        ("two parts", fine.rsplit_once('.').expect("three").0.to_owned()),
        ("four parts", format!("{fine}.x")),
        ("another end", format!("{}A", &fine[..fine.len() - 2])),
        ("rubbish", "a.b.c".to_owned()),
    ];
    for signer in [key, rsa] {
        for token in signer.token_with_public_as_secret(&claims(json!({}))) {
            wrong.push(("the public key as a secret", token));
        }
    }
    wrong
}

#[test]
fn what_proves_nothing_is_refused() {
    let site = Site::new(User::Same);
    let key = Signer::es256("k1");
    let rsa = Signer::rs256("k2");
    let server = of_file(&site, &[&key, &rsa]);
    let fine = key.token(&claims(json!({})));
    assert_eq!(status(&server, &fine), 200, "the control");
    for (what, token) in wrong_tokens(&key, &rsa, &fine) {
        let reply = server.send(&listing().bearer(&token));
        assert_eq!(reply.status, 401, "{what}");
        let challenge = reply.header("www-authenticate").expect("a challenge");
        assert!(challenge.contains("error=\"invalid_token\""), "{what}: {challenge}");
        assert!(challenge.contains(&format!("resource_metadata=\"{METADATA}\"")), "{what}");
        assert!(!reply.body.contains(&token) && !server.log().contains(&token), "{what}");
    }
    // Only the header counts.
    for path in [format!("/mcp?access_token={fine}"), format!("/mcp?token={fine}")] {
        assert_eq!(server.send(&listing().path(&path)).status, 401, "in the query");
    }
    let mut form = Request::post(format!("access_token={fine}"));
    form = form.header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(server.send(&form).status, 401, "in the body");
}

#[test]
fn a_genuine_token_can_be_for_nobody_here() {
    let site = Site::new(User::Same);
    let key = Signer::es256("k1");
    let server = of_file(&site, &[&key]);
    let ask = |changes: Value| server.send(&listing().bearer(&key.token(&claims(changes))));
    assert_eq!(ask(json!({})).status, 200, "the control");
    for (changes, scope) in [
        (json!({"scope": "openid"}), "scope=\"nono\""),
        (json!({"scope": null}), "scope=\"nono\""),
        (json!({"scope": "nonono"}), "scope=\"nono\""),
        (json!({"sub": "x", "client_id": "robot"}), "scope=\"nono nono:ci\""),
    ] {
        let reply = ask(changes.clone());
        assert_eq!(reply.status, 403, "{changes}");
        let challenge = reply.header("www-authenticate").expect("a challenge");
        assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        assert!(challenge.contains(scope), "{changes}: {challenge}");
    }
    for changes in [
        json!({"sub": "eve@example.com"}),
        json!({"sub": "ann"}),
        json!({"sub": null}),
        json!({"sub": "bob@example.com", "client_id": "other"}),
    ] {
        let reply = ask(changes.clone());
        assert_eq!(reply.status, 403, "{changes}");
        assert!(reply.body.contains("unknown_principal"), "{reply:?}");
        let challenge = reply.header("www-authenticate").unwrap_or_default();
        assert!(!challenge.contains("error="), "more scope would not help: {challenge}");
    }
}

#[test]
fn two_subjects_see_nothing_of_each_other() {
    let site = Site::new(User::Same);
    let key = Signer::es256("k1");
    let server = of_file(&site, &[&key]);
    let ann = key.token(&claims(json!({})));
    let bob = key.token(&claims(json!({"sub": "bob@example.com"})));
    let wait = json!({"command": "echo of ann; read line", "keep_stdin": true, "yield_ms": 2000});
    let run = server.call_as(&ann, "shell", wait);
    let id = run.str("run_id").to_owned();
    let read =
        |token: &str| server.call_as(token, "run_read", json!({"run_id": id, "after_seq": 0}));
    let list = |token: &str| server.call_as(token, "run_list", json!({})).text;
    let resource = |token: &str| {
        let uri = format!("nono://run/{id}/stdout");
        server.send(&Request::modern("resources/read", json!({ "uri": uri })).bearer(token)).last()
    };
    assert!(read(&ann).stdout().contains("of ann") && list(&ann).contains(&id), "the control");
    assert!(resource(&ann)["result"].is_object(), "the control");
    // A new token of the same subject is the same principal.
    let again = key.token(&claims(json!({"exp": in_seconds(900), "client_id": "other"})));
    assert!(list(&again).contains(&id));
    for other in [&bob, GIVEN] {
        assert!(read(other).is_error && !read(other).text.contains("of ann"));
        assert!(!list(other).contains(&id));
        assert!(resource(other)["error"].is_object());
        let end = server.call_as(other, "run_signal", json!({"run_id": id, "signal": "KILL"}));
        assert!(end.is_error, "{}", end.text);
    }
    // Nor does a session go from one to the other.
    let session = server.session_as(&ann, "2025-11-25");
    let ask = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list", "params": {}});
    let as_who = |token: &str| session.request(&ask).bearer(token);
    assert_eq!(server.send(&as_who(&ann)).status, 200, "the control");
    assert_eq!(server.send(&as_who(&again)).status, 200, "the token was renewed");
    assert_eq!(server.send(&as_who(&bob)).status, 404);
    let _whatever = server.send(&as_who(&bob).method("DELETE"));
    assert_eq!(server.send(&as_who(&ann)).status, 200, "it goes on");
}

#[test]
fn keys_in_a_file_change_while_the_server_runs() {
    let site = Site::new(User::Same);
    let (old, new) = (Signer::es256("k1"), Signer::es256("k2"));
    let server = of_file(&site, &[&old]);
    let (by_old, by_new) = (old.token(&claims(json!({}))), new.token(&claims(json!({}))));
    assert_eq!((status(&server, &by_old), status(&server, &by_new)), (200, 401));
    publish(&site, &[&old, &new]);
    assert!(wait::until(|| status(&server, &by_new) == 200), "{}", server.log());
    assert_eq!(status(&server, &by_old), 200);
    publish(&site, &[&new]);
    assert!(wait::until(|| status(&server, &by_old) == 401), "withdrawn: {}", server.log());
    // A broken file changes nothing, and is told.
    site.file("jwks.json", "{");
    assert!(wait::until(|| server.log().contains("the ones before stay")), "{}", server.log());
    assert_eq!((status(&server, &by_old), status(&server, &by_new)), (401, 200));
    // Nor does a link to where a command can write.
    let evil = Signer::es256("k3");
    site.file("ann/jwks.json", &set(&[&evil]).to_string());
    std::fs::remove_file(site.path("jwks.json")).expect("remove");
    std::os::unix::fs::symlink(site.path("ann/jwks.json"), site.path("jwks.json")).expect("link");
    assert!(wait::until(|| server.log().contains("commands with the profile")), "{}", server.log());
    let by_evil = evil.token(&claims(json!({})));
    assert_eq!((status(&server, &by_evil), status(&server, &by_new)), (401, 200));
}

#[test]
fn keys_at_an_address_change_while_the_server_runs() {
    let site = Site::new(User::Same);
    let (old, new) = (Signer::es256("k1"), Signer::rs256("k2"));
    let keys = KeyServer::start(&[&old]);
    let server = serve(&site, &Keys("jwks_url", &keys.url()));
    let (by_old, by_new) = (old.token(&claims(json!({}))), new.token(&claims(json!({}))));
    assert_eq!(status(&server, &by_old), 200, "{}", server.log());
    assert_eq!(keys.asked(), 1, "known keys need no second question");
    // A failure leaves the keys as they are: here a redirect, which is not followed.
    keys.answer_with(302, "");
    assert_eq!((status(&server, &by_new), keys.asked()), (401, 2));
    assert_eq!(status(&server, &by_old), 200);
    assert!(server.log().contains("the ones before stay"), "{}", server.log());
    // An unknown key has the set fetched again.
    keys.serve(&[&new]);
    assert_eq!((status(&server, &by_new), keys.asked()), (200, 3), "{}", server.log());
    // However many unknown keys are made up, hardly anybody is asked.
    for at in 0..50 {
        let made_up = Signer::es256(&format!("made-up-{at}")).token(&claims(json!({})));
        assert_eq!(status(&server, &made_up), 401);
    }
    assert!(keys.asked() <= 8, "{} questions", keys.asked());
    assert_eq!((status(&server, &by_old), status(&server, &by_new)), (401, 200));
}

/// The least that starts, once there are keys.
fn least() -> Value {
    json!({
        "oauth": {"resource": RESOURCE, "issuer": ISSUER, "jwks_file": "jwks.json"},
        "principals": [{"name": "ann", "oauth": [{"sub": "ann"}], "workspaces": ["ann"]}],
    })
}

/// A site with keys, for [`least`].
fn with_keys(key: &Signer) -> Site {
    let site = Site::new(User::Same);
    publish(&site, &[key]);
    site.folder("ann");
    site
}

fn start(site: &Site, file: &Value) -> Command {
    let file = site.file("principals.json", &file.to_string());
    let mut command = site.nono_mcp(&["--http", "0", "--principals"]);
    command.arg(file);
    command
}

/// No server starts with this change to [`least`], and all of `said` is told.
fn refused(site: &Site, change: impl Fn(&mut Value), said: &[&str]) {
    let mut file = least();
    change(&mut file);
    let output = start(site, &file).output().expect("start nono-mcp");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{file}: {stderr}");
    assert!(said.iter().all(|said| stderr.contains(said)), "{file}: {stderr}");
}

#[test]
fn mistakes_about_the_authorization_server_are_told_at_the_start() {
    let key = Signer::es256("k1");
    let site = with_keys(&key);
    drop(HttpServer::start_command(&site, start(&site, &least()), Some(GIVEN)));
    let keys = KeyServer::start(&[&key]);
    let untrusted = keys.url();
    let oauth = |field: &'static str, value: Value| {
        move |file: &mut Value| file["oauth"][field] = value.clone()
    };
    refused(
        &site,
        oauth("resource", json!("http://mcp.example.com/mcp")),
        &["oauth.resource", "https://"],
    );
    refused(&site, oauth("issuer", json!("issuer.example")), &["oauth.issuer", "https://"]);
    refused(&site, oauth("authorization_servers", json!(["x"])), &["oauth.authorization_servers"]);
    refused(&site, oauth("scopes", json!(["a b"])), &["oauth.scopes", "a word"]);
    refused(&site, oauth("jwks_file", Value::Null), &["jwks_url", "jwks_file"]);
    refused(&site, oauth("jwks_url", json!(untrusted)), &["either jwks_url"]);
    refused(&site, oauth("jwks_file", json!("none.json")), &["oauth.jwks_file", "none.json"]);
    refused(&site, oauth("jwks_file", json!("principals.json")), &["oauth.jwks_file", "Key Set"]);
    refused(&site, oauth("audience", json!("x")), &["unknown field `audience`"]);
    let url = |url: &str| {
        let url = json!(url);
        move |file: &mut Value| {
            file["oauth"]["jwks_file"] = Value::Null;
            file["oauth"]["jwks_url"] = url.clone();
        }
    };
    refused(&site, url("http://127.0.0.1:1/keys"), &["oauth.jwks_url", "https://"]);
    refused(&site, url("https://localhost:1/keys"), &["oauth.jwks_url", "cannot connect"]);
    refused(&site, url(&untrusted), &["oauth.jwks_url", "certificate"]);
    let open = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(site.path("jwks.json"), open).expect("chmod");
    refused(&site, |_| {}, &["oauth.jwks_file", "chmod go-w"]);
}

#[test]
fn mistakes_about_who_has_which_tokens_are_told_at_the_start() {
    let site = with_keys(&Signer::es256("k1"));
    drop(HttpServer::start_command(&site, start(&site, &least()), Some(GIVEN)));
    refused(
        &site,
        |file| file["principals"][0]["oauth"] = json!([{"scope": "x"}]),
        &["`ann`", "`sub` or `client_id`"],
    );
    refused(&site, |file| file["principals"][0]["oauth"] = json!([]), &["`ann`", "or oauth"]);
    refused(&site, |file| file["oauth"] = Value::Null, &["`ann`", "jwks_url"]);
    refused(
        &site,
        |file| {
            file["principals"][0]["oauth"] = json!([]);
            file["principals"][0]["token_sha256"] = json!(sha256(GIVEN));
        },
        &["no principal has oauth"],
    );
    refused(
        &site,
        |file| {
            let mut other = file["principals"][0].clone();
            other["name"] = json!("bob");
            file["principals"].as_array_mut().expect("a list").push(other);
        },
        &["`bob` has the oauth of `ann`"],
    );
}

#[test]
fn no_command_puts_keys_of_its_own_in() {
    as_each_user(|site| {
        let key = Signer::es256("k1");
        publish(&site, &[&key]);
        std::fs::rename(site.path("jwks.json"), site.path("outside/jwks.json")).expect("rename");
        site.file("outside/other", "another file");
        ["ann", "bob", "ci", "static"].iter().for_each(|name| drop(site.folder(name)));
        let file = file(&Keys("jwks_file", "outside/jwks.json")).to_string();
        let file = site.file("principals.json", &file);
        let start = |granted: &str| {
            let profile = site.profile(&json!({"filesystem": {granted: [site.text("outside")]}}));
            let mut command = site.nono_mcp(&["--http", "0", "--principals"]);
            command.arg(&file).arg("--profile").arg(profile);
            command
        };
        // Where commands can make files, nothing can be kept from them: no server starts.
        let output = start("allow").output().expect("start nono-mcp");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("outside/jwks.json, which stays closed"), "{stderr}");
        let server = HttpServer::start_command(&site, start("read"), Some(GIVEN));
        let token = key.token(&claims(json!({})));
        let look = "cat ../outside/other; cat ../outside/jwks.json || echo; \
                    echo x >> ../outside/jwks.json || echo refused";
        let inside = server.call_as(&token, "shell", json!({"command": look}));
        assert_eq!(inside.stdout(), "another file\nrefused\n", "{}", inside.text);
    });
}
