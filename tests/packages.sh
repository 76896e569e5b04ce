# shellcheck shell=sh disable=SC2154
# Sourced by scripts that take Debian packages without installing them: apt-get on the system's own package sources (mirror, keys,
# proxy, pinning), with lists, cache and status of its own, as if nothing were installed. Needs no root; the system stays as it is.
# The caller sets $work, a folder of its own; $suite is empty, or a suite that `other_suite` has prepared.

# configure_apt: writes $work/apt.conf; 1 when that is impossible
configure_apt() {
    mkdir -p "$work/state/lists/partial" "$work/archives/partial" && : >"$work/state/status" || return 1
    architecture=$(dpkg --print-architecture) || return 1
    # Of everything that an archive has, only the lists of packages are fetched.
    cat >"$work/apt.conf" <<END
Dir::State "$work/state";
Dir::State::Lists "$work/state/lists";
Dir::State::status "$work/state/status";
Dir::Cache "$work";
Dir::Cache::archives "$work/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "";
#clear APT::Architectures;
APT::Architectures:: "$architecture";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
// The sandbox user could not write into our folder.
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets;
Acquire::IndexTargets::deb::Packages::MetaKey "\$(COMPONENT)/binary-\$(ARCHITECTURE)/Packages";
Acquire::IndexTargets::deb::Packages::flatMetaKey "Packages";
Acquire::IndexTargets::deb::Packages::ShortDescription "Packages";
Acquire::IndexTargets::deb::Packages::Description "\$(RELEASE)/\$(COMPONENT) \$(ARCHITECTURE) Packages";
Acquire::IndexTargets::deb::Packages::flatDescription "\$(RELEASE) Packages";
Acquire::IndexTargets::deb::Packages::Optional "false";
END
}

# apt, apt_cache ARGUMENT…: with the system's sources, or with the one source of $suite
apt() { LC_ALL=C apt-get -c "$work/apt.conf" ${suite:+-c "$work/$suite.conf"} -q "$@"; }
apt_cache() { LC_ALL=C apt-cache -c "$work/apt.conf" ${suite:+-c "$work/$suite.conf"} -q "$@"; }

# update: fetches the lists; 1 when no package is known afterwards. One of several sources may be out of order, and not needed.
update() {
    apt update >"$work/log" 2>&1
    [ -n "$(apt_cache pkgnames 2>/dev/null | head -n 1)" ]
}

# apt_complains LOG: its errors and warnings, at most five
apt_complains() { { grep -hE '^[EW]:' "$1" || tail -n 3 "$1"; } | head -n 5; }

# debian_source: `URI RELEASE FILE:NUMBER` of the system's first source that is Debian's own archive, by what the archive says of itself
debian_source() {
    # shellcheck disable=SC2016 # apt's own variables
    apt indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI) $(RELEASE) $(SOURCESENTRY)' 'Created-By: Packages' 2>/dev/null |
        sed -n 's/^Debian|Debian|main|\([^ ]* [^ -]* .*\)/\1/p' | head -n 1
}

# other_suite SUITE: makes $work/SUITE.conf, with the entry of `debian_source` as the only source, SUITE in place of its suites: the same
# mirror, the same keys, the same options. 1 when there is no such entry.
other_suite() {
    set -- "$1" "$(debian_source)"
    [ -n "$2" ] || return 1
    uri=${2%% *} entry=${2##* }
    release=${2#* } && release=${release% *}
    file=${entry%:*}
    case $file in
        *.sources)
            list=$work/$1.sources
            awk -v RS= -v suite="$1" -v uri="$uri" -v release="$release" '
                {
                    lines = split($0, line, "\n"); here = 0; there = 0; off = 0; out = ""; skipping = 0
                    for (i = 1; i <= lines; i++) {
                        if (line[i] ~ /^#/) continue
                        name = ""
                        if (line[i] ~ /^[^ \t]/) { name = tolower(line[i]); sub(/[ \t]*:.*/, "", name); field = name }
                        words = split(line[i], word, /[ \t]+/)
                        for (w = 1; w <= words; w++) {
                            if (field == "uris" && (word[w] == uri || word[w] "/" == uri)) here = 1
                            if (field == "suites" && word[w] == release) there = 1
                            if (name == "enabled" && tolower(word[w]) == "no") off = 1
                        }
                        if (name != "") skipping = name ~ /^(types|suites|components)$/
                        if (!skipping) out = out line[i] "\n"
                    }
                    if (here && there && !off) { printf "Types: deb\nSuites: %s\nComponents: main\n%s", suite, out; exit }
                }' "$file" >"$list"
            ;;
        *)
            list=$work/$1.list
            sed -n "${entry##*:}p" "$file" |
                sed "s|#.*||; s|^[ \t]*\(deb[ \t]*\(\[[^]]*\]\)\{0,1\}[ \t]*[^ \t]*\)[ \t].*|\1 $1 main|" >"$list"
            ;;
    esac
    [ -s "$list" ] || return 1
    mkdir -p "$work/state/lists.$1/partial" || return 1
    cat >"$work/$1.conf" <<END
Dir::Etc::sourcelist "$list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::Lists "$work/state/lists.$1";
Dir::Cache::pkgcache "$1.bin";
END
}
