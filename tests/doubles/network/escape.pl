# escape.pl NAME=KIND:TARGET...: try each way out of the place that needs no proxy; print which of them work.
use strict;
use warnings;
use IO::Socket::INET;
use Socket;

sub tcp { IO::Socket::INET->new(PeerAddr => $_[0], Proto => 'tcp', Timeout => 2) }
sub name { scalar gethostbyname($_[0]) }
sub raw { socket(my $socket, PF_INET, SOCK_RAW, getprotobyname('icmp') // 1) }
sub packet { socket(my $socket, 17, SOCK_RAW, 0x0300) }

sub dns {
    my $socket = IO::Socket::INET->new(PeerAddr => "$_[0]:53", Proto => 'udp') or return 0;
    # A question for example.org's address.
    $socket->send(pack('H*', '000101000001000000000000076578616d706c65036f72670000010001')) or return 0;
    my $mask = '';
    vec($mask, fileno($socket), 1) = 1;
    return select($mask, undef, undef, 2) && defined $socket->recv(my $answer, 512);
}

sub abstract {
    socket(my $socket, PF_UNIX, SOCK_STREAM, 0) or return 0;
    return connect($socket, pack('S a*', AF_UNIX, "\0$_[0]"));
}

my %ways = (tcp => \&tcp, name => \&name, raw => \&raw, packet => \&packet, dns => \&dns, abstract => \&abstract);
for (@ARGV) {
    my ($what, $kind, $target) = /^(.*)=(\w+):(.*)$/;
    print "$what: ", ($ways{$kind}->($target) ? 'open' : 'shut'), "\n";
}
