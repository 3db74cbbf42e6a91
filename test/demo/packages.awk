# packages.awk
#	  apt-cache dumpavail (deb822 paragraphs) -> COPY's text format, a line for
#	  each package: package, version, architecture, section, priority, maintainer,
#	  address, installed size and size in bytes, homepage.  Of several versions for
#	  one architecture the first.

function text(value)
{
	gsub(/\\/, "\\\\", value)
	gsub(/\t/, " ", value)
	return value
}

function or_null(value) { return value == "" ? "\\N" : text(value) }

function flush_package(    name, address, start)
{
	if (field["Package"] != "" && !seen[field["Package"], field["Architecture"]]++)
	{
		name = field["Maintainer"]
		start = index(name, "<")
		address = start ? substr(name, start + 1) : ""
		sub(/>.*$/, "", address)
		if (start)
			name = substr(name, 1, start - 1)
		gsub(/^[ "]+|[ "]+$/, "", name)
		print text(field["Package"]), text(field["Version"]), text(field["Architecture"]),
			text(field["Section"]), or_null(field["Priority"]), text(name), text(tolower(address)),
			field["Installed-Size"] == "" ? "\\N" : sprintf("%.0f", field["Installed-Size"] * 1024),
			field["Size"] == "" ? "\\N" : field["Size"], or_null(field["Homepage"])
	}
	split("", field)
}

BEGIN { OFS = "\t" }

/^$/ { flush_package(); next }

/^(Package|Version|Architecture|Section|Priority|Maintainer|Installed-Size|Size|Homepage): / {
	separator = index($0, ": ")
	field[substr($0, 1, separator - 1)] = substr($0, separator + 2)
}

END { flush_package() }
