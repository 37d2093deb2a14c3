# What MIME::Parser and Mail::Address read in the messages that are named, as JSON for readers_test.go. Exit code 77: they are
# not installed.
use strict;
use warnings;
use Encode ();
use JSON::PP;

eval { require MIME::Parser; require Mail::Address; 1 } or exit 77;

my @mailboxes = ("From", "Sender", "Reply-To", "Errors-To", "Disposition-Notification-To");
my @texts = ("Subject", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Help", "List-Post",
    "References", "In-Reply-To", "Feedback-ID", "X-City");

sub decoded { return Encode::decode("MIME-Header", $_[0]) }

# A display name without its quotation marks, which Mail::Address leaves where they are.
sub name {
    my ($phrase) = @_;
    return decoded($phrase) unless $phrase =~ s/^"(.*)"$/$1/s;
    $phrase =~ s/\\(.)/$1/gs;
    return $phrase;
}

my @all;
for my $path (@ARGV) {
    my $parser = MIME::Parser->new;
    $parser->output_to_core(1);
    $parser->tmp_to_core(1);
    my $m = $parser->parse_open($path);
    my $head = $m->head;
    $head->unfold;
    my %found = (mailboxes => {}, texts => {}, files => [], defects => [$parser->results->errors]);
    for my $name (@mailboxes) {
        my $value = $head->get($name) // next;
        $value =~ s/\s+\z//;
        $found{mailboxes}{$name} = [map { { name => name($_->phrase), address => $_->address } } Mail::Address->parse($value)];
    }
    for my $name (@texts) {
        my $value = $head->get($name) // next;
        $value =~ s/\s+\z//;
        $found{texts}{$name} = decoded($value);
    }
    for my $part (grep { !$_->is_multipart } $m->parts_DFS) {
        $part->head->get("Content-Disposition") // next;
        my $type = $part->head->mime_attr("content-type.name");
        push @{$found{files}}, {
            name => $part->head->recommended_filename,
            typeName => defined $type ? decoded($type) : "",
            type => $part->mime_type,
            method => $part->head->mime_attr("content-type.method") // "",
            content => $part->bodyhandle->as_string,
        };
    }
    push @all, \%found;
}
print JSON::PP->new->utf8->encode(\@all);
