/** What `crashsafe --help` prints, and the README has between two marks. */
export const HELP: string = `Usage: crashsafe COMMAND [OPTION]... [ARGUMENT]...

  crashsafe write TARGET        publish standard input as TARGET, whole or not at all
  crashsafe copy SOURCE TARGET  publish a copy of SOURCE; into TARGET if it is a directory
  crashsafe hash [FILE]...      print digests as xxhsum -H2, sha256sum, sha512sum or b3sum do
  crashsafe hash --check FILE   verify files against such a list
  crashsafe lock PATH -- COMMAND [ARGUMENT]...
                                run COMMAND while the file PATH is locked (flock(2), as flock(1) does)
  crashsafe orphans DIR         list the temporary files that dead writers left in DIR
  crashsafe recover ROOT        remove the temporary directories that dead processes left in ROOT
  crashsafe doctor              tell what works on this runtime
  crashsafe completion SHELL    print a script for bash, zsh or fish: eval "$(crashsafe completion bash)"

Options of write and copy:
  --hash DIGEST        publish only bytes with this digest (hexadecimal or sha256-...)
  --algorithm NAME     of --hash: xxh3-128 (default), sha256, sha512, blake3
  --mtime TIME         modification time: RFC 3339, or @SECONDS with up to nine decimals
  --mode OCTAL         permission bits (default: those of the file replaced)
  --durability LEVEL   full (default), file or none
  --require-durability refuse where the file system cannot give that level
  --no-clobber         fail if TARGET exists
  --symlink HOW        follow (default), replace or refuse a symbolic link at TARGET
  --parents            make missing directories
  --json               print the receipt as one line of JSON

Options of hash:
  --algorithm NAME     xxh3-128 (default), sha256, sha512, blake3
  --check              read lists of digests and verify the files in them

Options of lock:
  --shared             together with others who lock it shared
  --timeout SECONDS    how long to wait (default: forever)
  --no-wait            do not wait
  --busy STATUS        exit status when somebody else holds it (default: 75)

Options of orphans:
  --recursive, -r      in all directories below, too; links are not followed
  --remove             remove them, instead of listing them
  --older-than AGE     files whose names say nothing count as dead after 90s, 15m, 36h or 7d (default: never)
  --also NAME          also the temporary files of oxen or aperture; can be given twice

Options of recover:
  --dry-run            only tell what would be removed

  --json (doctor, orphans, recover) one line of JSON
  --help, --version; -- ends the options

Exit status:
  0  done
  1  failed: nothing was published, TARGET is as it was (hash: a file differs or cannot be read;
     orphans, recover: something could not be looked at or removed)
  2  the command line is wrong: nothing was touched
  3  published, but it may not survive a power cut
  4  the digest does not match: nothing was published
  5  TARGET exists and --no-clobber was given
  lock: that of COMMAND, 128 and the number of the signal that ended it, 126 or 127 if it cannot be run,
  75 (or --busy) if somebody else holds the lock

A write that is killed leaves TARGET as it was, and one file .NAME.*.cs1l beside it.`;
