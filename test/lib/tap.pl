#
# tap.pl [--jobs=N] [--lib=DIR]... --result=FILE test...
#
# Run TAP tests (.pl by perl, .sql by pg_prove's engine in the database
# pgtap_NAME, others as programs), show only what failed, and write "passed
# failed skipped" to a file.  prove counts files; this counts assertions.
#
# A file that ends badly (no plan, wrong number of tests, bad exit status,
# bail-out, too much time) counts as one more failed.
#
use strict;
use warnings;

use File::Basename qw(basename);
use Getopt::Long;
use TAP::Parser;
use TAP::Parser::Multiplexer;

use constant {
	TIMEOUT => 900,          # seconds for a file
	SHOWN_LINES => 60,       # of a file that failed
};

my ($jobs, $result_file, @lib) = (1);
GetOptions('jobs=i' => \$jobs, 'result=s' => \$result_file, 'lib=s' => \@lib)
  or die "usage: tap.pl [--jobs=N] [--lib=DIR]... --result=FILE test...\n";

my ($passed, $failed, $skipped) = (0, 0, 0);

sub start_parser
{
	my ($file) = @_;
	my @limit = ('timeout', '--foreground', '-k', '10', TIMEOUT);

	if ($file =~ /\.sql$/)
	{
		require TAP::Parser::SourceHandler::pgTAP;
		return TAP::Parser->new(
			{
				source => $file,
				merge => 1,
				sources => {
					pgTAP => {
						psql => 'psql',
						suffix => '.sql',
						dbname => 'pgtap_' . basename($file, '.sql')
					}
				}
			});
	}
	return TAP::Parser->new(
		{
			merge => 1,
			exec => $file =~ /\.pl$/
			? [ @limit, $^X, (map { "-I$_" } @lib), $file ]
			: [ @limit, $file ]
		});
}

# One line of a test's output.
sub take
{
	my ($state, $line) = @_;

	if ($line->is_test)
	{
		$state->{after_failure} = !$line->is_ok;
		if (!$line->is_ok)
		{
			$state->{failed}++;
			push @{ $state->{shown} }, $line->as_string;
		}
		elsif ($line->has_skip)
		{
			$skipped++;
			print basename($state->{file}), ': skipped, ', $line->explanation, "\n";
		}
		else
		{
			$passed++;
		}
	}
	elsif ($line->is_bailout)
	{
		push @{ $state->{trouble} }, $line->as_string;
	}
	elsif ($line->is_comment || $line->is_unknown)
	{
		# Diagnostics follow their assertion; other output explains a bad end.
		push @{ $state->{ $state->{after_failure} ? 'shown' : 'other' } },
		  $line->as_string;
	}
}

# The lines that explain a bad end: a sanitizer's report, or the last ones.
# What a PostgreSQL::Test program has on standard error is in its log.
sub explain
{
	my ($state) = @_;
	my @lines = @{ $state->{other} };
	my $name = basename($state->{file}, '.pl');

	if ($state->{file} =~ /\.pl$/
		&& open(my $in, '<', ($ENV{TESTDIR} // '.') . "/tmp_check/log/regress_log_$name"))
	{
		chomp(@lines = <$in>);
	}
	for my $i (0 .. $#lines)
	{
		next unless $lines[$i] =~ /ERROR: AddressSanitizer|runtime error:/;
		return @lines[ $i .. ($i + 20 < $#lines ? $i + 20 : $#lines) ];
	}
	return @lines > 20 ? @lines[ -20 .. -1 ] : @lines;
}

# The end of a test's output.
sub finish
{
	my ($parser, $state) = @_;
	my $file = basename($state->{file});
	my @trouble = @{ $state->{trouble} };

	if ($parser->skip_all && !$parser->exit)
	{
		$skipped++;
		print "$file: skipped, ", $parser->skip_all, "\n";
		return;
	}
	# A test program's exit status may be its number of failed assertions.
	if (!$state->{failed})
	{
		push @trouble, 'ran out of its ' . TIMEOUT . ' seconds'
		  if $parser->exit == 124;
		push @trouble, 'exit status ' . $parser->exit if $parser->exit;
		push @trouble, 'killed by signal ' . ($parser->wait & 127)
		  if $parser->wait & 127;
		push @trouble, 'no test' if !$parser->tests_run;
	}
	push @trouble, 'no plan, or not as many tests as planned'
	  if !$parser->is_good_plan;
	$failed += $state->{failed} + (@trouble ? 1 : 0);
	return if !$state->{failed} && !@trouble;

	my @lines = @{ $state->{shown} };
	my @other = explain($state);
	splice(@lines, SHOWN_LINES, @lines - SHOWN_LINES, '...')
	  if @lines > SHOWN_LINES;
	print "$file failed:\n";
	print "  $_\n" for @lines, @trouble, (@trouble ? @other : ());
}

my @waiting = @ARGV;
my $running = 0;
my $multiplexer = TAP::Parser::Multiplexer->new;

while (@waiting || $running)
{
	while (@waiting && $running < $jobs)
	{
		my $file = shift @waiting;

		$multiplexer->add(start_parser($file),
			{ file => $file, failed => 0, shown => [], other => [], trouble => [] });
		$running++;
	}

	my ($parser, $state, $line) = $multiplexer->next;

	if (defined $line)
	{
		take($state, $line);
	}
	else
	{
		$running--;
		finish($parser, $state);
	}
}

open(my $out, '>', $result_file) or die "cannot write $result_file: $!\n";
print $out "$passed $failed $skipped\n";
close($out) or die "cannot write $result_file: $!\n";
