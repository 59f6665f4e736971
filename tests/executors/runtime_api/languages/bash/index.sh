# Does as the event says, like the handlers of the other languages; its result goes to stdout, its log to stderr.
handler() {
    case "$1" in
        *'"do":"raise"'*)
            echo "bash works on raise" >&2
            echo '{"errorType":"TypeError","errorMessage":"no stock","trace":["TypeError: no stock"]}'
            return 1 ;;
        *'"do":"exit"'*)
            echo "bash works on exit" >&2
            return 103 ;;
        *'"do":"hang"'*)
            echo "bash works on hang" >&2
            sleep 60 ;;
    esac
    echo "bash works on echo" >&2
    printf '%s' "$1" | sed 's/.*"value"://; s/}$//'
}
