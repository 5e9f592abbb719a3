# fish completion for docsend; docsend itself knows what can stand where.
# What `docsend _complete` prints: VALUE<Tab>LABEL lines, and `!files EXTENSIONS` where files are meant.

function __docsend_complete
    set -l words (commandline -opc)[2..] (commandline -ct)
    for line in (docsend _complete $words 2>/dev/null)
        if string match -q '!files*' -- $line
            set -l extensions (string split , -- (string replace -r '^!files ?' '' -- $line))
            if test -z "$extensions"
                __fish_complete_path (commandline -ct)
            else
                for extension in $extensions
                    # Each path once; folders come along with every suffix.
                    __fish_complete_suffix .$extension
                end | string match -r '.*(?:/|\.(?:'(string join '|' -- $extensions)'))(?:\t.*)?$' | sort -u
            end
        else
            echo $line
        end
    end
end

complete -c docsend -f -a '(__docsend_complete)'
