"""Package feeds: a folder, NuGet servers of both protocols, Octopus's built-in feed."""
