"""``mantis-astro files``: list or fetch large files."""

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "List large files, or fetch them."


def add_arguments(sub):
    """Add the arguments of the command."""
    sub.add_argument("action", nargs="?", choices=["list", "fetch"], default="list")
    names = sub.add_argument("names", nargs="*", metavar="NAME", help="files to fetch")
    names.words = _file_names


def _file_names():
    from mantis_astro.files import list_files

    return [file.name for file in list_files()]


def run(options):
    """Run the command."""
    from mantis_astro.files import fetch_file, list_files, local_path

    if options.action == "list":
        for file in list_files():
            there = "here" if local_path(file.name).is_file() else "not fetched"
            print(f"{file.name:24} {file.size / 1e6:8.1f} MB  {there:12} {file.url}")
        return
    if not options.names:
        msg = "name the files to fetch; 'mantis-astro files' lists them"
        raise ValueError(msg)
    for name in options.names:
        print(fetch_file(name, progress=not options.quiet))
