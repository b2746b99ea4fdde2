"""What a sound file carries beside its sound: tags, pictures, markers, time stamps."""
