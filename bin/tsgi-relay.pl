# The warm relay: hands a CGI request, or the connections of mod_fcgid, to one daemon per account and application.
# Started by bin/tsgi-cgi and bin/tsgi-fcgid: tsgi-relay.pl KIND ENTRY NODE MAIN CWD [ARGUMENT ...]
# Rules: no module is loaded on the way of a request, since one costs more than the whole relay. The daemon's socket lies
# in a folder of mode 0700 that is ours, and nothing is sent before the daemon has said that it takes the request: until
# then the request can be served in a process of its own, which is what happens whenever anything here is not possible.
# Sockets are called KEY.NUMBER. The highest number counts; a dead one is followed by the next, which one process makes
# by link(2), so that any number of first requests start one daemon. src/server/warm/relay.ts does the same in Node.
use strict;
use integer;

my ($kind, $entry, $node, $main, $cwd, @words) = @ARGV;

my $is_linux     = $^O eq 'linux';
my $AF_UNIX      = $is_linux ? 1 : do { require Socket; Socket::AF_UNIX() };
my $SOCK_STREAM  = $is_linux ? 1 : do { require Socket; Socket::SOCK_STREAM() };
my $MSG_DONTWAIT = $is_linux ? 0x40 : do { require Socket; Socket::MSG_DONTWAIT() };

my $boot_s        = 20;        # a daemon that was just started may take this long to say that it is there
my $greeting_s    = 5;         # and one that is there this long, or the request gets a process of its own
my $quarantine_s  = 60;        # after a daemon did not start or was killed again and again
my $young_s       = 10;        # a daemon that lived no longer than this died young
my $young_deaths  = 3;         # so many in a row are enough
my $max_daemons   = 32;        # of one account
my $silence_s     = 3600;      # a request in which nothing moves for this long is given up
my $settle_s      = 0.2;       # Apache looks at what it has before it learns that there will be no more
my $drain_s       = 30;        # how long the rest of a body is read after the response
my $max_log_bytes = 1 << 20;
my $block         = 65_528;    # content of a record, a multiple of 8
my $pipe_block    = 4096;      # what a pipe that select calls writable takes without waiting

my @passed = qw(PATH HOME USER LOGNAME SHELL LANG LANGUAGE LC_ALL LC_CTYPE TZ TMPDIR XDG_CACHE_HOME NODE_ENV
    LD_LIBRARY_PATH TSGI_LOG_LEVEL TSGI_LOG_FILE TSGI_ERROR_PAGE TSGI_DEBUG TSGI_ADAPTER
    TSGI_TRUSTED_PROXIES TSGI_TRUSTED_PROXY_HEADERS TSGI_X_SENDFILE TSGI_X_SENDFILE_HEADER);

my %option;    # of the command line, by name
my $home;      # the folder that we came from, to go back
my $folder;    # the folder of sockets, in which we are while we look for one

sub process_of_its_own {
    chdir $home if $home;
    $ENV{TSGI_WARM} = 'off';
    $SIG{$_} = 'DEFAULT' for qw(PIPE HUP TERM INT);
    { exec {$entry} $entry, @words }
    print STDERR "tsgi: $entry cannot be run: $!\n";
    exit 1;
}

# Whether the last system call failed with one of these; the names cost too much to be loaded before they are needed.
sub failed_with {
    my $error = $! + 0;
    require Errno;
    return scalar grep { $error == Errno->can($_)->() } @_;
}

# --- Arguments: as src/server/entry-args.ts reads them.

# Apache appends the words of a query without "=" to the arguments of a CGI program: trailing words that the query can
# have made are not read, and an entry that is the script itself reads none.
sub trusted_words {
    return @words if $kind ne 'cgi';
    my $script = $ENV{SCRIPT_FILENAME};
    if (defined $script) {
        my @one = stat $script;
        my @two = stat $entry;
        return () if @one && @two && $one[0] == $two[0] && $one[1] == $two[1];
    }
    my $query = $ENV{QUERY_STRING};
    return @words if !defined $query || $query eq '' || index($query, '=') >= 0;
    my @asked = split /\+/, $query, -1;
    for (@asked) { s/%([0-9a-fA-F]{2})/chr hex $1/ge; s/\0.*//s; s/\\//g }
    my @plain = @words;
    s/\\//g for @plain;
    my $start = @words > @asked ? @words - @asked : 0;
    for (; $start < @words; $start++) {
        my $is_query = 1;
        for my $index ($start .. $#words) { $is_query = 0 if $plain[$index] ne $asked[ $index - $start ] }
        return @words[ 0 .. $start - 1 ] if $is_query;
    }
    return @words;
}

my @given = trusted_words();
my @kept;
while (@given && $given[0] =~ /^--/) {
    my $word = shift @given;
    if    ($word eq '--warm')                 { $option{warm} = 1 }
    elsif ($word =~ /^--([a-z-]+)=(.*)$/s)    { $option{$1} = $2; push @kept, $word }
    else                                      { process_of_its_own() }
}
@given = ($given[0]) if @given;
process_of_its_own() if !$option{warm} && ($ENV{TSGI_WARM} || '') !~ /^(?:1|on|true|yes)$/i;

# --- The folder of sockets.

# Makes a folder, and those that hold it, where the place is ours or one that users share without harm, as /tmp is.
sub make_folder {
    my ($path) = @_;
    return 1 if -d $path;
    my ($above) = $path =~ m{^(/.*)/[^/]+/*$};
    return 0 if !defined $above || !make_folder($above);
    my @status = stat $above;
    return 0 if !@status || ($status[4] != $> && !($status[2] & 01000));
    return -d $path if !mkdir $path, 0700;
    if ($path !~ m{/\.cache$} && open my $file, '>', "$path/.htaccess") {
        print {$file} "Require all denied\n";
        close $file;
    }
    return 1;
}

sub enter {
    my ($path) = @_;
    return 0 if !make_folder($path) || !chdir $path;
    my @status = stat '.';
    # Ours and closed to all others: nobody else can have put anything here, whatever lies above.
    if (@status && $status[4] == $> && ($status[2] & 07777) == 0700) { $folder = $path; return 1 }
    chdir $home;
    return 0;
}

sub enter_folder {
    opendir $home, '.' or return 0;
    my $cache = $option{'cache-dir'};
    if (defined $cache) {
        $cache = "$cwd/$cache" if $cache !~ m{^/};
        return enter("$cache/warm");
    }
    my $base = $ENV{XDG_CACHE_HOME};
    if (!defined $base || $base !~ m{^/}) {
        my $own = $ENV{HOME};
        $own = (getpwuid $>)[7] if !defined $own || $own eq '';
        $base = defined $own && $own =~ m{^/} ? "$own/.cache" : undef;
    }
    return 1 if defined $base && enter("$base/tsgi-warm");
    my $temporary = $ENV{TMPDIR} || '/tmp';
    return $temporary =~ m{^/} && enter("$temporary/tsgi-warm-$>");
}

# --- The daemon.

my %environment;

sub find_environment {
    my @names = (@passed, grep { !/^HTTP_/ } split /[\s,]+/, $ENV{TSGI_WARM_ENV} || '');
    for (@names) { $environment{$_} = $ENV{$_} if defined $ENV{$_} }
}

sub hash_of {
    my ($text) = @_;
    my ($one, $two) = (1469598103, 5381);
    for (unpack 'C*', $text) {
        $one = ($one ^ $_) * 16777619 & 0xffffffff;
        $two = ($two * 33 + $_) & 0xffffffff;
    }
    return sprintf '%08x%08x', $one, $two;
}

# What tells daemons apart: a changed package, wrapper, folder or setting is another daemon; the old one ends when idle.
sub key_of {
    my @status = stat $main;
    my @parts = ($kind, $node, $main, @status[ 1, 7, 9 ], $cwd, @kept, '--', @given);
    push @parts, 'log', (stat _)[ 0, 1 ] if -f STDERR;    # after a rotation, another daemon writes to the new file
    push @parts, map { "$_=$environment{$_}" } sort keys %environment;
    return hash_of(join "\0", @parts);
}

my $key;

# The highest number of a socket of ours, 0 for none; how many daemons there are at all.
sub find_number {
    my ($highest, %keys) = (0);
    opendir my $listing, '.' or return (0, 0);
    for (readdir $listing) {
        next if !/^([0-9a-f]{16})\.([0-9]+)$/;
        $keys{$1} = 1;
        $highest = $2 if $1 eq $key && $2 > $highest;
    }
    return ($highest, scalar keys %keys);
}

# Takes away the sockets of daemons that were killed and that nobody asks for any more; true when there was one.
sub sweep {
    my $swept = 0;
    opendir my $listing, '.' or return 0;
    for (grep { /^[0-9a-f]{16}\.[0-9]+$/ } readdir $listing) {
        socket my $socket, $AF_UNIX, $SOCK_STREAM, 0 or last;
        setsockopt $socket, 1, 21, pack 'l! l!', 0, 1000 if $is_linux;
        $swept += unlink $_ if !connect($socket, address($_)) && failed_with('ECONNREFUSED');
    }
    return $swept;
}

sub address { return $is_linux ? pack('S a*', $AF_UNIX, "$_[0]\0") : Socket::pack_sockaddr_un($_[0]) }

sub start_daemon {
    my ($number) = @_;
    my $temporary = "new.$$";
    unlink $temporary;
    socket my $listening, $AF_UNIX, $SOCK_STREAM, 0 or return 0;
    my $mask = umask 0177;
    my $is_bound = bind $listening, address($temporary);
    umask $mask;
    return 0 if !$is_bound;
    my $is_ours = listen($listening, 4096) && link $temporary, "$key.$number";
    my $is_theirs = !$is_ours && -e "$key.$number";
    unlink $temporary;
    return $is_theirs if !$is_ours;
    unlink "$key." . ($number - 1) if $number > 1;
    my $child = fork;
    if (!defined $child) { unlink "$key.$number"; return 0 }
    if ($child == 0) { become_daemon($listening, $number) }
    waitpid $child, 0;
    return 1;
}

# Ends in the daemon: a session of its own, and no descriptor of Apache's.
sub become_daemon {
    my ($listening, $number) = @_;
    require POSIX;
    POSIX::setsid();
    my $child = fork;
    POSIX::_exit(defined $child ? 0 : 1) if $child || !defined $child;
    my $is_log_apaches = -f STDERR;    # a pipe is read by somebody who waits for its end
    my $log = POSIX::dup(2);
    if (!$is_log_apaches) {
        my $flags = &POSIX::O_WRONLY | &POSIX::O_CREAT | &POSIX::O_APPEND;
        $flags |= &POSIX::O_TRUNC if (-s "$key.log" || 0) > $max_log_bytes;
        $log = POSIX::open("$key.log", $flags, 0600);
    }
    my $null = POSIX::open('/dev/null', &POSIX::O_RDWR);
    my $socket = POSIX::dup2(fileno $listening, 200);
    POSIX::dup2($null, 0);
    POSIX::dup2(defined $log ? $log : $null, $_) for 1, 2;
    POSIX::dup2($socket, 3);
    my @open = 4 .. 255;
    if (opendir my $listing, '/proc/self/fd') { @open = grep { /^[0-9]+$/ && $_ > 3 } readdir $listing }
    my $place = "$folder/$key.$number";
    chdir $cwd or POSIX::_exit(1);
    POSIX::close($_) for @open;
    %ENV = %environment;
    $SIG{$_} = 'DEFAULT' for qw(PIPE HUP TERM ALRM);
    { exec {$node} $node, '--max-old-space-size=' . heap_megabytes(), $main, $place, $is_log_apaches ? 'apache' : 'own',
        $kind, $entry, @kept, @given }
    POSIX::_exit(1);
}

# The hard limit of the heap: twice the soft limit of the process, at which the daemon makes place for a fresh one.
sub heap_megabytes {
    my ($count, $unit) = ($option{'memory-limit'} || '256m') =~ /^([0-9]+)([kmg]?)/i;
    my $bytes = $count * { '' => 1, k => 1 << 10, m => 1 << 20, g => 1 << 30 }->{ lc $unit };
    my $megabytes = 2 * $bytes >> 20;
    return $megabytes < 64 ? 64 : $megabytes;
}

sub quarantine {
    my ($why) = @_;
    if (open my $file, '>', "$key.failed") { print {$file} "$why\n"; close $file }
    print STDERR "tsgi: no warm daemon for $quarantine_s s: $why\n";
    return undef;
}

# A connection to a daemon that has said it takes a request, or undef: then the request gets a process of its own.
sub connect_daemon {
    return undef if !defined $key;
    my @failed = stat "$key.failed";
    if (@failed) {
        return undef if time - $failed[9] < $quarantine_s && $failed[9] <= time;
        unlink "$key.failed";
    }
    my $has_started = 0;
    my $unheard = 0;
    for (1 .. 6) {
        my ($number, $daemons) = find_number();
        if ($number > 0) {
            my @status = lstat "$key.$number";
            next if !@status;
            return undef if $status[4] != $> || ($status[2] & 0170000) != 0140000;
            socket my $socket, $AF_UNIX, $SOCK_STREAM, 0 or return undef;
            my $age = time - $status[9];
            # A daemon that hangs accepts nothing, and once its backlog is full connect(2) would wait for ever.
            setsockopt $socket, 1, 21, pack 'l! l!', $greeting_s, 0 if $is_linux;    # SO_SNDTIMEO
            if (connect $socket, address("$key.$number")) {
                my ($outcome) = await_greeting($socket, $age < $boot_s ? $boot_s : $greeting_s);
                return $socket if $outcome eq 'ready';
                return late_daemon($number, $age) if $outcome eq 'late';
                $unheard++;
                return quarantine('the daemon ended before it took a request') if $unheard == 3;
                next;
            }
            my $error = $! + 0;
            my $is_refused = failed_with('ECONNREFUSED');
            $! = $error;
            return late_daemon($number, $age) if !$is_refused && failed_with('EAGAIN');
            next if !$is_refused && !-e "$key.$number";
            return undef if !$is_refused;
            # It was killed, or the machine was.
            return quarantine("the daemon was killed $number times")
                if $age >= 0 && $age < $young_s && $number >= $young_deaths;
        }
        return undef if $number == 0 && $daemons >= $max_daemons && !sweep();
        return quarantine("the daemon cannot be started: $!") if !start_daemon($number + 1);
    }
    return undef;
}

# It hangs, or is busy: without its name it ends as soon as it can, and a next one may follow after a while.
sub late_daemon {
    my ($number, $age) = @_;
    return undef if $age >= 0 && $age < $boot_s;
    unlink "$key.$number";
    return quarantine("the daemon did not answer for $greeting_s s");
}

sub await_greeting {
    my ($socket, $seconds) = @_;
    my $ready = '';
    vec($ready, fileno $socket, 1) = 1;
    my $count = select $ready, undef, undef, $seconds;
    return 'late' if !$count || $count < 0;
    my $got = sysread $socket, my $byte, 1;
    return $got && $byte eq 'R' ? 'ready' : 'closed';
}

# --- One CGI request, as FastCGI 1.0.

sub record { my ($type, $content) = @_; return pack('C C n n C x', 1, $type, 1, length $content, 0) . $content }

sub pairs {
    my $pairs = '';
    while (my ($name, $value) = each %ENV) {
        for (length $name, length $value) { $pairs .= $_ < 128 ? chr : pack 'N', $_ | 1 << 31 }
        $pairs .= $name . $value;
    }
    return $pairs;
}

sub request_head {
    my $head = record(1, pack 'n C x5', 1, 0);
    my $pairs = pairs();
    $head .= record(4, substr $pairs, 0, $block, '') while length $pairs;
    return $head . record(4, '');
}

# Sends what the socket takes now; false when nobody is there any more.
sub send_some {
    my ($socket, $bytes) = @_;
    my $count = send $socket, $$bytes, $MSG_DONTWAIT;
    return failed_with('EAGAIN', 'EINTR', 'ENOBUFS') if !defined $count;
    substr $$bytes, 0, $count, '';
    return 1;
}

sub write_some {
    my ($file, $bytes, $is_socket) = @_;
    return send_some($file, $bytes) if $is_socket;
    my $count = syswrite $file, $$bytes, -p $file ? $pipe_block : length $$bytes;
    return failed_with('EAGAIN', 'EINTR') if !defined $count;
    substr $$bytes, 0, $count, '';
    return 1;
}

my $parent = getppid;

# Waits for what is asked; false when nothing moved for too long, or mod_fcgid, which started us, is gone.
sub await {
    my ($read, $write, $since) = @_;
    my $count = select $$read, $$write, undef, 5;
    ($$read, $$write) = ('', '') if $count <= 0;
    # A graceful restart ends mod_cgid's daemon, which started us, and Apache still waits for the response.
    return $count > 0 || (($kind eq 'cgi' || getppid == $parent) && time - $since < $silence_s);
}

sub relay_request {
    my ($socket) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $length = $ENV{CONTENT_LENGTH};
    my $has_length = defined $length && $length =~ /^[0-9]+$/;
    my $left = $has_length ? $length : defined $ENV{HTTP_TRANSFER_ENCODING} || (defined $length && $length ne '') ? -1 : 0;
    my $to_daemon = request_head();
    $to_daemon .= record(5, '') if $left == 0;
    my ($from_daemon, $response, $status, $has_answered, $since) = ('', '', undef, 0, time);
    my $is_socket = -S STDOUT;
    my $number = fileno $socket;
    my $is_open = 1;
    while ($is_open || length $response) {
        if (length $to_daemon && $is_open) { send_some($socket, \$to_daemon) or $to_daemon = '' }
        my ($read, $write) = ('', '');
        vec($read, $number, 1) = 1 if $is_open && !length $response;
        vec($write, $number, 1) = 1 if $is_open && length $to_daemon;
        vec($read, 0, 1) = 1 if $is_open && $left != 0 && !length $to_daemon;
        vec($write, 1, 1) = 1 if length $response;
        if (!await(\$read, \$write, $since)) { print STDERR "tsgi: a request was given up\n"; exit 1 }
        $since = time if $read ne '' || $write ne '';
        if (vec $read, $number, 1) {
            my $got = sysread $socket, $from_daemon, 2 * $block, length $from_daemon;
            if (!$got) { $is_open = 0 if defined $got || !failed_with('EINTR') }
            else {
                my $part;
                ($part, $status) = take_records(\$from_daemon);
                $response .= $part;
                $is_open = 0 if defined $status;
            }
        }
        if (length $response) {
            $has_answered ||= time;
            write_some(\*STDOUT, \$response, $is_socket) or exit 1;    # nobody reads it
        }
        $left = read_body(\$to_daemon, $left) if vec $read, 0, 1;
    }
    fail_request($has_answered, $left, $has_length) if !defined $status;
    close $socket;
    drain_body($left);
    exit 0 if $status == 0;
    settle($has_answered);
    exit 1;
}

# Reads a part of the body into a record. Gives what is left: -1 when that is not known.
sub read_body {
    my ($to_daemon, $left) = @_;
    my $count = sysread STDIN, my $bytes, $left > 0 && $left < $block ? $left : $block;
    return $left if !defined $count && failed_with('EINTR');
    if (!$count) { $$to_daemon .= record(5, ''); return 0 }    # too short a body is for the daemon to refuse
    $$to_daemon .= record(5, $bytes);
    return $left if $left < 0;
    $left -= $count;
    $$to_daemon .= record(5, '') if $left == 0;
    return $left;
}

# Takes whole records: gives bytes of the response, and the status when the request has ended.
sub take_records {
    my ($bytes) = @_;
    my ($response, $at, $total) = ('', 0, length $$bytes);
    while ($total - $at >= 8) {
        my (undef, $type, undef, $length, $padding) = unpack 'C C n n C', substr $$bytes, $at, 8;
        last if $total - $at < 8 + $length + $padding;
        if    ($type == 6) { $response .= substr $$bytes, $at + 8, $length }
        elsif ($type == 7) { my $text = substr $$bytes, $at + 8, $length; syswrite STDERR, $text }
        elsif ($type == 3) { return ($response, unpack 'N', substr $$bytes, $at + 8, 4) }
        $at += 8 + $length + $padding;
    }
    substr $$bytes, 0, $at, '';
    return ($response, undef);
}

# The daemon went away under the request.
sub fail_request {
    my ($has_answered, $left, $has_length) = @_;
    print STDERR "tsgi: the warm daemon ended before the request\n";
    my $is_safe = ($ENV{REQUEST_METHOD} || '') =~ /^(?:GET|HEAD|OPTIONS)$/;
    my $has_body = ($has_length && $ENV{CONTENT_LENGTH} > 0) || defined $ENV{HTTP_TRANSFER_ENCODING};
    process_of_its_own() if !$has_answered && $is_safe && !$has_body;
    if (!$has_answered) {
        my $text = "Internal Server Error\n";
        syswrite STDOUT, "Status: 500 Internal Server Error\r\nContent-Type: text/plain\r\n\r\n$text";
    }
    drain_body($left);
    settle($has_answered);
    exit 1;
}

# Of a response that broke off: when its end comes together with its head, Apache writes the length that it saw into the
# head, and the client cannot see that anything is missing. Once the head is on its way, there is nothing to wait for.
sub settle {
    my ($since) = @_;
    select undef, undef, undef, $settle_s if !$since || time - $since <= 1;
}

# mod_cgid loses a response whose program leaves a part of the body unread.
sub drain_body {
    my ($left) = @_;
    my $until = time + $drain_s;
    while ($left != 0 && time < $until) {
        my $read = "\1";
        next if select($read, undef, undef, 1) <= 0;
        my $count = sysread STDIN, my $bytes, $block;
        return if !$count && (defined $count || !failed_with('EINTR'));
        $left = $left - $count > 0 ? $left - $count : 0 if $left > 0 && $count;
    }
}

# --- The connections of mod_fcgid, one after the other, byte by byte as they are.

sub relay_connections {
    my $is_stopping = 0;
    $SIG{TERM} = $SIG{INT} = sub { $is_stopping = time || 1 };
    $SIG{HUP} = $SIG{PIPE} = 'IGNORE';
    until ($is_stopping) {
        my $ready = "\1";
        my $count = select $ready, undef, undef, 2;
        last if getppid != $parent;
        next if $count <= 0;
        my $socket = connect_daemon();
        # What waits to be accepted waits for whoever has the listening socket next.
        process_of_its_own() if !defined $socket;
        accept my $connection, STDIN or next;
        relay_bytes($connection, $socket, \$is_stopping);
    }
    exit 0;
}

sub relay_bytes {
    my ($connection, $socket, $is_stopping) = @_;
    my ($forth, $back, $since) = ('', '', time);
    my ($one, $two) = (fileno $connection, fileno $socket);
    my $is_open = 1;
    while ($is_open || length $back) {
        my ($read, $write) = ('', '');
        vec($read, $one, 1) = 1 if $is_open && !length $forth;
        vec($read, $two, 1) = 1 if $is_open && !length $back;
        vec($write, $one, 1) = 1 if length $back;
        vec($write, $two, 1) = 1 if $is_open && length $forth;
        return if !await(\$read, \$write, $since) || ($$is_stopping && time - $$is_stopping >= 5);
        $since = time if $read ne '' || $write ne '';
        if (vec $read, $one, 1) { sysread $connection, $forth, $block or return }    # given up
        if (vec $read, $two, 1) { sysread $socket, $back, $block or $is_open = 0 }
        if (length $forth) { send_some($socket, \$forth) or $forth = '' }
        if (length $back) { send_some($connection, \$back) or return }
    }
    close $socket;
    linger($connection);
}

# The response is out: what still comes is read, since closing with unread input loses what was sent.
sub linger {
    my ($connection) = @_;
    shutdown $connection, 1;
    my $until = time + $drain_s;
    while (time < $until) {
        my $read = '';
        vec($read, fileno $connection, 1) = 1;
        next if select($read, undef, undef, 1) <= 0;
        sysread $connection, my $bytes, $block or return;
    }
}

find_environment();
$key = key_of() if enter_folder();
if ($kind eq 'fcgid') { relay_connections() }
my $socket = connect_daemon();
process_of_its_own() if !defined $socket;
relay_request($socket);
