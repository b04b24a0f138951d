# Programs of others in exact versions, each set in a folder of its own below one cache. Sourced,
# not run. Nothing is installed outside of the cache, and nothing that is there is fetched again.

cache="${NONO_MCP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nono-mcp}"

# node_set NAME PACKAGE...: npm packages; sets `set_folder`.
node_set() {
    set_folder="$cache/node/$1"
    shift
    if [ "$(cat "$set_folder/.done" 2>/dev/null)" != "$*" ]; then
        rm -rf "$set_folder" && mkdir -p "$set_folder"
        echo '{"private": true}' >"$set_folder/package.json"
        npm install --prefix "$set_folder" --no-audit --no-fund --loglevel=error "$@" >&2
        echo "$*" >"$set_folder/.done"
    fi
}

# python_set NAME PACKAGE...: Python packages; sets `set_folder`.
python_set() {
    set_folder="$cache/python/$1"
    shift
    if [ "$(cat "$set_folder/.done" 2>/dev/null)" != "$*" ]; then
        rm -rf "$set_folder" && mkdir -p "$cache/python"
        python3 -m venv "$set_folder"
        "$set_folder/bin/pip" install --quiet --disable-pip-version-check "$@" >&2
        echo "$*" >"$set_folder/.done"
    fi
}

# Node 22, which the newer clients and the conformance suite need; sets `node`.
node_22() {
    node_set node node@22.23.3
    node="$set_folder/node_modules/.bin/node"
    PATH="$set_folder/node_modules/.bin:$PATH"
}

# serve_http FOLDER COMMAND...: starts a server that prints its address; sets `server` (its process
# id), `url` and `token`.
serve_http() {
    local log="$1/server-$RANDOM.log"
    shift
    token=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
    NONO_MCP_TOKEN="$token" "$@" 2>"$log" &
    server=$!
    until url=$(grep -oE 'http://127\.0\.0\.1:[0-9]+/mcp' "$log" | head -n 1) && [ -n "$url" ]; do
        kill -0 "$server" 2>/dev/null || { cat "$log" >&2; return 1; }
        sleep 0.05
    done
}
