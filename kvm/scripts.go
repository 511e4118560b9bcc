package kvm

// Scripts for the POSIX shell of a guest. The agent gives a program's output back in
// one answer, and libvirt breaks with an agent whose answer is longer than 10 MiB; nor
// can the agent kill what it started.

// runScript becomes the program in its arguments, whose output it cuts: what comes after
// the first $2 bytes of each stream is read and dropped. So exit status and process are
// those of the program. If there is no such program, or no room for two named pipes, it
// says only $1, a word that nobody else knows.
const runScript = `word=$1 most=$2
shift 2
fail() { printf %s "$word" >&2; exit 127; }
command -v -- "$1" >/dev/null 2>&1 || fail
dir=$(mktemp -d /run/exec.XXXXXX 2>/dev/null || mktemp -d) && mkfifo "$dir/out" "$dir/err" || fail
{ head -c "$most"; cat >/dev/null; } <"$dir/out" &
{ head -c "$most" >&2; cat >/dev/null; } <"$dir/err" &
exec 3>"$dir/out" 4>"$dir/err"
rm -r "$dir"
exec "$@" >&3 2>&4 3>&- 4>&-`

// killScript kills a process, which must be a child of the agent's own as the shell
// is, with all its descendants. They are stopped first, so that none gets away
// between two looks.
const killScript = `all= new=$1
parent() { { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1; line=${line##*) }; line=${line#* }; ppid=${line%% *}; }
parent "$1" && [ "$ppid" = "$PPID" ] || exit 0
while [ -n "$new" ]; do
	kill -STOP $new 2>/dev/null
	all="$all $new" new=
	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		case " $all " in *" $pid "*) continue ;; esac
		parent "$pid" || continue
		case " $all " in *" $ppid "*) new="$new $pid" ;; esac
	done
done
kill -KILL $all 2>/dev/null
:`
