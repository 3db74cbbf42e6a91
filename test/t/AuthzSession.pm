# AuthzSession.pm
#	  A session with a server or a pooler that speaks the protocol itself: with
#	  prepared statements and bind parameters of the extended protocol, start-up
#	  options, and statements that are sent now and read later.
#
# Results are text: rows joined by newlines, columns by "|"; what failed gives
# "ERROR <sqlstate> <message>".  The last notice is in $session->{notice}, the
# fields of the last error in $session->{error}.
package AuthzSession;

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;

use constant TIMEOUT => 60;      # seconds for any answer

# Connect: socket (path), user, database, options (of the start-up packet).
# Dies if refused, unless may_fail is given: then the error is in {failed}.
sub new
{
	my ($class, %with) = @_;
	my $self = bless {
		socket => IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $with{socket}),
		buffer => '',
		settings => {}
	}, $class;
	my @startup = (user => $with{user} // 'postgres', database => $with{database} // 'postgres');

	die "cannot connect to $with{socket}: $!\n" unless $self->{socket};
	push @startup, options => $with{options} if defined $with{options};
	my $packet = pack('N', 196608) . join('', map { "$_\0" } @startup) . "\0";
	$self->write_all(pack('N', length($packet) + 4) . $packet);
	my $answer = $self->result;
	if ($answer =~ /^ERROR/)
	{
		die "connection refused: $answer\n" unless $with{may_fail};
		$self->{failed} = $answer;
	}
	return $self;
}

# Connect to a node of PostgreSQL::Test::Cluster.
sub on
{
	my ($class, $node, %with) = @_;

	return $class->new(socket => $node->host . '/.s.PGSQL.' . $node->port, %with);
}

# The simple protocol: send, and read the result.
sub query
{
	my ($self, $sql) = @_;

	$self->send($sql);
	return $self->result;
}

sub send
{
	my ($self, $sql) = @_;

	$self->message('Q', "$sql\0");
}

# The extended protocol: parse a named statement; bind text parameters and execute it.
sub prepare
{
	my ($self, $name, $sql) = @_;

	$self->message('P', "$name\0$sql\0" . pack('n', 0));
	$self->message('S', '');
	return $self->result;
}

sub execute
{
	my ($self, $name, @parameters) = @_;

	$self->message('B',
		"\0$name\0" . pack('nn', 0, scalar @parameters)
		  . join('', map { defined $_ ? pack('N', length) . $_ : pack('N', 0xffffffff) } @parameters)
		  . pack('n', 0));
	$self->message('E', "\0" . pack('N', 0));
	$self->message('S', '');
	return $self->result;
}

# A portal of its own: make one for a statement, without parameters; read at most so many rows of it.
sub bind
{
	my ($self, $portal, $name) = @_;

	$self->message('B', "$portal\0$name\0" . pack('nnn', 0, 0, 0));
	$self->message('S', '');
	return $self->result;
}

sub read_rows
{
	my ($self, $portal, $limit) = @_;

	$self->message('E', "$portal\0" . pack('N', $limit));
	$self->message('S', '');
	return $self->result;
}

# Read until the server is ready for more, or has gone.
sub result
{
	my ($self) = @_;
	my (@rows, $failure);

	while (1)
	{
		my ($type, $body) = $self->read_message;

		return $failure // 'ERROR connection closed' if !defined $type;
		if ($type eq 'D')
		{
			push @rows, $self->row($body);
		}
		elsif ($type eq 'E')
		{
			$self->{error} = fields($body);
			$failure = "ERROR $self->{error}{C} $self->{error}{M}";
		}
		elsif ($type eq 'N')
		{
			$self->{notice} = fields($body)->{M};
		}
		elsif ($type eq 'S')
		{
			my ($name, $value) = split /\0/, $body;
			$self->{settings}{$name} = $value;
		}
		elsif ($type eq 'K')
		{
			$self->{pid} = unpack('N', $body);
		}
		elsif ($type eq 'R' && unpack('N', $body) != 0)
		{
			die "the server asks for a password\n";
		}
		elsif ($type eq 'Z')
		{
			return $failure // join("\n", @rows);
		}
	}
}

sub close
{
	my ($self) = @_;

	eval { $self->message('X', '') };
	$self->{socket}->close;
}

sub row
{
	my ($self, $body) = @_;
	my @values;
	my $position = 2;

	for (1 .. unpack('n', $body))
	{
		my $length = unpack('N', substr($body, $position, 4));
		$position += 4;
		if ($length == 0xffffffff)
		{
			push @values, '';
			next;
		}
		push @values, substr($body, $position, $length);
		$position += $length;
	}
	return join('|', @values);
}

sub fields
{
	my ($body) = @_;

	return { map { substr($_, 0, 1) => substr($_, 1) } grep { length } split /\0/, $body };
}

sub message
{
	my ($self, $type, $body) = @_;

	$self->write_all($type . pack('N', length($body) + 4) . $body);
}

sub write_all
{
	my ($self, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';

	while (length $bytes)
	{
		my $written = syswrite($self->{socket}, $bytes);
		return if !defined $written;    # the reader will see that it has gone
		substr($bytes, 0, $written) = '';
	}
}

# Type and body of the next message; nothing if the connection has gone.
sub read_message
{
	my ($self) = @_;

	while (1)
	{
		if (length($self->{buffer}) >= 5)
		{
			my ($type, $length) = unpack('a N', $self->{buffer});
			if (length($self->{buffer}) > $length)
			{
				my $body = substr($self->{buffer}, 5, $length - 4);
				substr($self->{buffer}, 0, $length + 1) = '';
				return ($type, $body);
			}
		}
		IO::Select->new($self->{socket})->can_read(TIMEOUT) or die "no answer from the server\n";
		sysread($self->{socket}, $self->{buffer}, 65536, length $self->{buffer}) or return;
	}
}

1;
