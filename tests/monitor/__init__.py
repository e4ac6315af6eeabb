"""What a run tells machines that watch it."""
